"""The pages as texts: every block is something that can be checked, and what can't be run is looked at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from lupa.lua54 import LuaRuntime, LuaSyntaxError

from llmspell_profiles.checking.validation import check
from llmspell_protocol.errors import ERRORS
from tests.support.command_tree import every_call, parsed
from tests.support.snippets import ROOT, Snippet, commands, pages, snippets

DEVELOPERS = ("docs/decisions/", "docs/benchmarks.md", "docs/reliability.md")
"""Pages about the program's making, whose blocks nobody types."""


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


USERS = [page for page in pages() if not _name(page).startswith(DEVELOPERS)]
BLOCKS = [one for page in USERS for one in snippets(page)]


def _shell(one: Snippet, directory: Path) -> None:
    for line in commands(one):
        for words in every_call(line):
            parsed(words)


def _lua(one: Snippet, directory: Path) -> None:
    text = one.text.partition("\n")[2] if one.text.startswith("#!") else one.text
    *before, last = text.rstrip("\n").split("\n")
    try:
        LuaRuntime().compile(text)
    except LuaSyntaxError:  # A cell may end with an expression.
        LuaRuntime().compile("\n".join([*before, f"return {last}"]))


def _toml(one: Snippet, directory: Path) -> None:
    path = directory / "page.toml"
    path.write_text(one.text)
    report = check(config=path, env={"HOME": str(directory)}, cwd=directory)
    assert not report.errors, report.errors


def _python(one: Snippet, directory: Path) -> None:
    compile(one.text, one.place, "exec")


def _json(one: Snippet, directory: Path) -> None:
    json.loads(one.text)


def _nothing(one: Snippet, directory: Path) -> None:
    """What a program prints, or a file of another program."""


LANGUAGES: Mapping[str, Callable[[Snippet, Path], None]] = {
    "console": _shell,
    "sh": _shell,
    "lua": _lua,
    "toml": _toml,
    "python": _python,
    "json": _json,
    "text": _nothing,
    "ini": _nothing,
}


@pytest.mark.parametrize("one", BLOCKS, ids=lambda one: one.place)
def test_a_block_is_what_it_says_to_be(one: Snippet, tmp_path: Path) -> None:
    assert one.language in LANGUAGES, f"{one.place}: a block without a language, or of an unknown one"
    LANGUAGES[one.language](one, tmp_path)


@pytest.mark.parametrize("page", USERS, ids=_name)
def test_a_file_of_a_page_is_used_on_it(page: Path) -> None:
    blocks = list(snippets(page))
    for one in blocks:
        if one.title and not one.title.endswith(".toml"):
            typed = [line for other in blocks if other.language in ("console", "sh") for line in commands(other)]
            # A command or a setting of the page may name the directory that it is in.
            settings = [other.text for other in blocks if other.language == "toml"]
            folder = str(Path(one.title).parent)
            is_named = any(folder in line.split() for line in typed if folder != ".")
            is_set = any(f'"{folder}"' in text for text in settings)
            is_used = any(one.title in line for line in typed) or is_named or is_set
            assert is_used, f"{one.place}: nothing on the page uses {one.title}"


WORDS = {
    r"RUST_LOG": "a variable of other programs",
    r"\bmock\b": "a backend for tests",
    r"\b[Tt]he original\b|\bFrom the original\b": "a program that the reader does not know",
}


@pytest.mark.parametrize("page", USERS, ids=_name)
def test_no_page_speaks_of_what_a_user_does_not_know(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [f"{pattern}: {why}" for pattern, why in WORDS.items() if re.search(pattern, text)]
    assert found == []


ROWS = [
    (f"{page.name}: {line}", line)
    for page in sorted((ROOT / "docs" / "coming-from").glob("*.md"))
    for line in page.read_text(encoding="utf-8").splitlines()
    if (line.startswith("| ") and "`" in line.split("|")[2]) or (line.startswith("| ") and "](" in line)
]


@pytest.mark.parametrize("row", [row for _, row in ROWS], ids=[name for name, _ in ROWS])
def test_what_people_know_from_elsewhere_works_or_has_a_page_that_says_why_not(row: str) -> None:
    answer = row.replace("\\|", "¦").split("|")[2].replace("¦", "|")
    named = [code for code in re.findall(r"`([^`]+)`", answer) if code.startswith(("llmspell", "cat ", "echo "))]
    for line in named:
        for words in every_call(line):
            parsed(words)
    assert named or "](" in answer or re.search(r"`(-|/)[^`]+`", answer) or "the same" in answer, row


def test_the_page_of_errors_says_what_to_do_about_each_code() -> None:
    page = (ROOT / "docs" / "guide" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(ERRORS)
