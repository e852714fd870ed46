"""Every command at narrow and wide terminals: nothing breaks, nothing is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from tests.support.command_cases import CASES, asks_for_json, command_of, undo, words_of
from tests.support.command_line import AtTerminal

TEXT = [name for name, case in CASES.items() if not case.stdin and not asks_for_json(case)]
FIRST = list({command_of(CASES[name]): name for name in reversed(TEXT)}.values())
"""A case of every command."""


def rendered(text: str, columns: int) -> list[str]:
    """The lines of a terminal of this width, after everything has scrolled by."""
    screen = pyte.Screen(columns, 2 * (text.count("\n") + len(text) // columns) + 10)
    pyte.Stream(screen).feed(text)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def copyable(line: str, columns: int) -> bool:
    """Whether a line may be longer than the terminal: a command line, or one that ends with a path or an address.

    So may a line of a script that is there for a shell.
    """
    last = line.split()[-1]
    is_code = "llmspell " in line or "COMP_WORDS=" in line or "completions" in line
    return is_code or line.startswith("Hint:") or ("/" in last and len(line) - len(last) < columns)


def assert_fits(text: str, columns: int) -> list[str]:
    """Asserts that the terminal had to break no line but those that are there to be copied; returns the lines."""
    lines = rendered(text, 1000)
    expected: list[str] = []
    for line in lines:
        if len(line) > columns:
            assert copyable(line, columns), f"{len(line)} columns: {line}"
        expected += [line[at : at + columns].rstrip() for at in range(0, max(len(line), 1), columns)]
    assert rendered(text, columns) == expected
    return lines


@pytest.fixture
def shown(case_directory: Path, request: pytest.FixtureRequest) -> Callable[..., AtTerminal]:
    """Runs a case at a terminal to its end."""

    def show(name: str, columns: int, *words: str, **env: str) -> AtTerminal:
        case = CASES[name]
        if case.where == "kernel":
            request.getfixturevalue("case_kernel")
        terminal = AtTerminal([*words_of(case, case_directory), *words], columns=columns, env=env)
        terminal.end()
        undo(case, case_directory)
        return terminal

    return show


@pytest.mark.parametrize("columns", [60, 200])
@pytest.mark.parametrize("name", TEXT)
def test_no_line_is_too_long_for_its_terminal(name: str, columns: int, shown: Callable[..., AtTerminal]) -> None:
    terminal = shown(name, columns)
    lines = assert_fits(terminal.text, columns)
    assert lines or "stop" in name


@pytest.mark.parametrize("columns", [60, 200])
@pytest.mark.parametrize("name", FIRST)
def test_no_decorated_line_is_too_long_for_its_terminal(
    name: str, columns: int, shown: Callable[..., AtTerminal]
) -> None:
    # Behind a script's name, words are its own.
    words = [] if CASES[name].words[0] == "run" else ["--output", "pretty"]
    assert_fits(shown(name, columns, *words).text, columns)
