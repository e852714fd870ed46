"""Regular expressions of the packages whose code runs on the kernel's loop take a time that grows as the text does.

Looked for in the patterns themselves: two repeats that may both take the same characters, with nothing between them
that has to stand there, try every way to share them out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import llmspell_kernel
import llmspell_protocol

PROBES = [chr(code) for code in range(128)] + ["é", "京", "\u2028"]
REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)
MANY = 64
"""More repetitions than these are without end here."""


def literal_patterns() -> Iterator[tuple[str, str, int]]:
    """Where each `re.compile` and its like stands that has a literal pattern, the pattern, and its flags."""
    for package in (llmspell_kernel, llmspell_protocol):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
                    continue
                of_re = isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
                if of_re and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                    flags = 0
                    for given in (*node.args[1:], *(keyword.value for keyword in node.keywords)):
                        for name in ast.walk(given):
                            if isinstance(name, ast.Attribute) and isinstance(getattr(re, name.attr, None), int):
                                flags |= getattr(re, name.attr)
                    yield f"{path.relative_to(root.parent)}:{node.lineno}", node.args[0].value, flags


def first(items: Sequence[tuple[Any, Any]], flags: int) -> frozenset[str]:
    """The probe characters that a sequence may begin with."""
    found: frozenset[str] = frozenset()
    for op, value in items:
        if op in (*REPEATS, codes.POSSESSIVE_REPEAT):
            found |= first(value[2], flags)
        elif op is codes.SUBPATTERN:
            found |= first(value[3], flags)
        elif op is codes.BRANCH:
            found = found.union(*(first(branch, flags) for branch in value[1]))
        else:
            found |= taken((op, value), flags)
        if _least((op, value)):
            break
    return found


def taken(item: tuple[Any, Any], flags: int) -> frozenset[str]:
    """The probe characters that one item may take anywhere, as far as that is plain."""
    op, value = item
    if op in (*REPEATS, codes.POSSESSIVE_REPEAT):
        return frozenset().union(*(taken(one, flags) for one in value[2]))
    if op is codes.SUBPATTERN:
        return frozenset().union(*(taken(one, flags) for one in value[3]))
    if op is codes.BRANCH:
        return frozenset().union(*(taken(one, flags) for branch in value[1] for one in branch))
    if op is codes.LITERAL:
        return frozenset(chr(value))
    if op is codes.NOT_LITERAL:
        return frozenset(PROBES) - {chr(value)}
    if op is codes.ANY:
        return frozenset(PROBES) if flags & re.DOTALL else frozenset(PROBES) - {"\n"}
    if op is codes.IN:
        found = {probe for probe in PROBES if any(_within(probe, one, flags) for one in value)}
        return frozenset(PROBES) - found if (codes.NEGATE, None) in value else frozenset(found)
    return frozenset()


def _within(probe: str, part: tuple[Any, Any], flags: int) -> bool:
    kind, value = part
    if kind is codes.LITERAL:
        return probe == chr(value)
    if kind is codes.RANGE:
        return value[0] <= ord(probe) <= value[1]
    if kind is codes.CATEGORY:
        name = str(value).removeprefix("CATEGORY_")
        letter = {"DIGIT": "d", "SPACE": "s", "WORD": "w"}[name.removeprefix("NOT_")]
        written = letter.upper() if name.startswith("NOT_") else letter
        return re.match(f"\\{written}", probe, flags & re.ASCII) is not None
    return False


def shared(items: Sequence[tuple[Any, Any]], flags: int) -> bool:
    """Whether two repeats of a sequence may share out a run of characters in every way, or one holds another."""
    open_run: frozenset[str] = frozenset()
    for item in items:
        op, value = item
        inner = value[2] if op in REPEATS else value[3] if op is codes.SUBPATTERN else None
        if inner is not None and shared(inner, flags):
            return True
        if op is codes.BRANCH and any(shared(branch, flags) for branch in value[1]):
            return True
        endless = op in REPEATS and value[1] > MANY
        if endless:
            takes = taken(item, flags)
            holds_another = len(inner) == 1 and inner[0][0] in REPEATS and inner[0][1][1] > MANY
            if holds_another or first([item], flags) & open_run:
                return True
            open_run = takes if _least(item) else open_run | takes
        elif _least(item):
            open_run = frozenset()
    return False


def _least(item: tuple[Any, Any]) -> bool:
    """Whether it takes a character at least."""
    op, value = item
    if op in (*REPEATS, codes.POSSESSIVE_REPEAT):
        return value[0] > 0 and any(map(_least, value[2]))
    if op is codes.SUBPATTERN:
        return any(map(_least, value[3]))
    if op is codes.BRANCH:
        return all(any(map(_least, branch)) for branch in value[1])
    return op in (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)


@pytest.mark.parametrize(
    ("pattern", "is_shared"),
    [
        (r"\s*(\?{0,2})\s*x", True),
        (r"\s*(==?|<)?\s*(\d+)", True),
        (r"(?:a+)+", True),
        (r"a*b?a*", True),
        (r"\w+\d*x", True),
        (r"(\.\w*)*\w*", True),
        (r"a*ba*", False),
        (r"\w*(\.\w*|\[\d+\])*\Z", False),
        (r"[^.]+\.\w+", False),
        (r"(\?{0,2})\s*([A-Za-z_][\w.:]*)\s*(\?{0,2})", False),
    ],
)
def test_what_is_looked_for_is_found(pattern: str, is_shared: bool) -> None:
    assert shared(list(parser.parse(pattern)), 0) is is_shared


def test_no_pattern_can_share_out_a_run_in_every_way() -> None:
    found = list(literal_patterns())
    assert len(found) > 30
    assert [(place, text) for place, text, flags in found if shared(list(parser.parse(text, flags)), flags)] == []
