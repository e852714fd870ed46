"""Patterns as grammars are given them: whatever fits the new one fits the old one, and needs no escape in JSON."""

from __future__ import annotations

import json
import re
from random import Random

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.schemas.characters import ESCAPED, Characters
from llmspell_providers.schemas.pattern import NotHeld, held
from llmspell_providers.schemas.well_formed import demand_well_formed

SAMPLES = [
    "",
    *(chr(code) for code in range(0x250)),
    *("\u2028", "\u3000", "\u0661", "漢", "😀", "a/b", "a.b", "ab", "aab", "abc", "a@b.co", "123", "-5", "a-b", "--"),
    *('a"b', "a\\b", "a\nb", "a b", "éé", "x" * 40, "a,b", "{a}", "[a]", "a|b", "(a)"),
]

WRITTEN = [
    ("^[a-z]{2,5}(-[0-9]+)?$", "^[a-z]{2,5}(-[0-9]+)?$"),
    ("^a\\/b$", "^a/b$"),
    ("^\\d{3}$", "^[0-9]{3}$"),
    ("^a$|^b$", "^(a|b)$"),
    ("^a\\.b$", "^a[\\x2E]b$"),
    ("^é{2}$", "^[é]{2}$"),
    ("^a+?$", "^[a]+$"),
    ("^\\u0041\\x42$", "^AB$"),
    ("^(|a)$", "^(a)?$"),
    ("^.$", None),
    ("^[^,]+$", None),
    ("^[ -~]*$", None),
    ("^[\\s\\S]*$", None),
    ("^[\\]\\[a\\-z]+$", None),
    ("^[.+*?]$", None),
    ("^\\(\\w+\\)\\D?\\W?\\S?$", None),
    ("^[^\\s@]+@[^\\s@]+\\.[^\\s@]+$", None),
    ("^a{,3}b{0}c{1,1}$", None),
    ("^(a|b|)(?:c{2}|d*)e?$", None),
    ("^x{a}$", None),
]

NOT_WRITTEN = [
    *("a+", "^a", "a$", "^a\\$", "^", "$", '^"$', "^\\\\$", "^a\\nb$", "^[\\x00-\\x1f]$", "^\\ud83d$", "^(?=a)b$"),
    *(
        "^(?!a)b$",
        "^(?<=a)b$",
        "^(?P<n>a)$",
        "^(?i)a$",
        "^(a)\\1$",
        "^a\\b$",
        "^\\p{L}$",
        "^a++$",
        "^a**$",
        "^a{2}{3}$",
    ),
    *("^*$", "^+a$", "^{2}$", "^a^b$", "^a$b$", "^[]$", "^[]a]$", "^a)b$", "^(a$", "^[a$", "^[z-a]$", "^[\\d-z]$"),
    *("^a{2,1}$", "^a{2000}$", "^(a{50}){50}$", "^(a?){1900}$", "^\\x4$", "^\\cA$"),
]


def fits(pattern: str, sample: str) -> bool:
    """Whether a text fits as a whole: Python's $ lets a line end follow."""
    return re.search(f"{pattern[:-1]}\\Z", sample) is not None


@pytest.mark.parametrize(("pattern", "expected"), WRITTEN, ids=[row[0] for row in WRITTEN])
def test_a_pattern_is_written_so_that_what_fits_it_fits_the_old_one(pattern: str, expected: str | None) -> None:
    written = held(pattern)
    assert expected in (None, written)
    assert held(written) == written
    fitting = [sample for sample in SAMPLES if fits(written, sample)]
    for sample in fitting:
        assert re.search(pattern, sample), (written, sample)
        assert json.dumps(sample, ensure_ascii=False) == f'"{sample}"'


@pytest.mark.parametrize("pattern", NOT_WRITTEN)
def test_a_pattern_that_grammars_do_not_read_alike_is_refused(pattern: str) -> None:
    with pytest.raises(NotHeld):
        held(pattern)


def test_of_an_everyday_pattern_little_is_lost() -> None:
    for pattern, sample in [("^.+$", "Hello, world! 漢 😀"), ("^[\\s\\S]*$", "Hi there, 漢"), ("^[^<>]*$", "a & b: c")]:
        assert re.search(held(pattern), sample)


@pytest.mark.filterwarnings("ignore:Possible")
def test_generated_patterns_are_written_or_refused_and_never_widened() -> None:
    random = Random(7)
    pieces = [
        *"abc/-.@ é",
        "\\d",
        "\\w",
        "\\.",
        "\\/",
        "\\-",
        "[a-z]",
        "[^a]",
        "[^\\s]",
        "(",
        ")",
        "(?:",
        "|",
        "*",
        "+",
    ]
    pieces += ["?", "{2}", "{0,3}", "{1,}", "[", "]", "^", "$", "\\", '"', "{", "}", "\\x41", "[a\\-c]", "(a|b)"]
    written = 0
    for _ in range(3000):
        pattern = f"^{''.join(random.choice(pieces) for _ in range(random.randrange(1, 7)))}$"
        try:
            re.compile(pattern)
        except re.error:
            continue
        try:
            new = held(pattern)
        except NotHeld:
            continue
        written += 1
        for sample in SAMPLES:
            if fits(new, sample):
                assert re.search(pattern, sample), (pattern, new, sample)
    assert written > 300


def test_sets_of_characters_join_and_exclude() -> None:
    letters = Characters.of([(0x61, 0x63), (0x62, 0x66), (0x67, 0x67)])
    assert letters.intervals == ((0x61, 0x67),)
    assert "d" in letters
    assert "d" not in letters - Characters.one("d")
    assert not (letters - letters)
    assert '"' not in ~ESCAPED
    assert (~(~letters)).intervals == letters.intervals


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("^a{2,1}$", "min repeat greater than max repeat"),
        (r"^\p{L}+$", r"bad escape \\p"),
        ("^[]$", "unterminated character set"),
        ("^(a$", "missing \\)"),
    ],
)
def test_a_pattern_that_no_reply_could_be_held_against_is_told_with_the_reason(pattern: str, reason: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    with pytest.raises(InvalidRequest, match=f"'pattern' at '/properties/a/pattern' .*{reason}"):
        demand_well_formed(schema, "")
    with pytest.raises(InvalidRequest, match=f"'patternProperties' at '/patternProperties' .*{reason}"):
        demand_well_formed({"type": "object", "patternProperties": {pattern: {}}}, "")
