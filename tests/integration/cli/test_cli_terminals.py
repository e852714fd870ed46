"""Every command at narrow and wide terminals: nothing breaks, nothing is cut off."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pyte
import pytest

from tests.support.command_cases import CASES, asks_for_json, command_of, undo, words_of
from tests.support.command_line import AtTerminal, llmspell
from tests.support.gguf_files import gguf_file
from tests.support.hub_server import hub_server
from tests.support.rendered import rendered

TEXT = [name for name, case in CASES.items() if not case.stdin and not asks_for_json(case)]
FIRST = list({command_of(CASES[name]): name for name in reversed(TEXT)}.values())
"""A case of every command."""


def copyable(line: str, columns: int) -> bool:
    """Whether a line may be longer than the terminal: a command, or one that ends with a path or an address.

    So may a line of a script for a shell, of a file for a service manager, or of definitions for an editor.
    """
    last = line.split()[-1]
    is_script = any(sign in line for sign in ("COMP_WORDS=", "completion", "ExecStart="))
    is_log = re.match(r"\d{4}-\d\d-\d\dT", line) is not None  # as it stands in the file
    is_definition = line.startswith(("---", "function "))
    is_code = is_script or is_log or is_definition or line.lstrip().startswith("llmspell ")
    return is_code or ("/" in last and len(line) - len(last) < columns)


def assert_fits(text: str, columns: int) -> list[str]:
    """Asserts that the terminal had to break no line but those that are there to be copied; returns the lines."""
    assert "defect of llmspell" not in text
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
        if name.startswith("kernel start"):
            env = {"LLMSPELL_CLI__AUTOSTART": "never", **env}  # else a person at a terminal is asked
        terminal = AtTerminal([*words_of(case, case_directory), *words], columns=columns, env=env)
        if name == "exec refused":
            terminal.wait_for("Allow it?")
            terminal.type("n\n")
        terminal.end()
        undo(case, case_directory)
        return terminal

    return show


@pytest.mark.parametrize("name", TEXT)
def test_no_line_is_too_long_for_a_narrow_terminal(name: str, shown: Callable[..., AtTerminal]) -> None:
    lines = assert_fits(shown(name, 60).text, 60)
    assert lines or "stop" in name


@pytest.mark.parametrize("name", FIRST)
def test_no_line_is_too_long_for_a_wide_terminal(name: str, shown: Callable[..., AtTerminal]) -> None:
    assert_fits(shown(name, 200).text, 200)


@pytest.mark.parametrize("name", FIRST)
def test_no_decorated_line_is_too_long_for_a_narrow_terminal(name: str, shown: Callable[..., AtTerminal]) -> None:
    # Behind a script's name, words are its own.
    words = [] if CASES[name].words[0] == "run" else ["--output", "pretty"]
    assert_fits(shown(name, 60, *words).text, 60)


def screen_of(text: str) -> pyte.Screen:
    """What a terminal of 80 columns shows, with its colours."""
    screen = pyte.Screen(80, 40)
    pyte.Stream(screen).feed(text)
    return screen


def test_the_word_error_is_red_and_a_warning_yellow(case_directory: Path) -> None:
    terminal = AtTerminal(["model", "info", "nosuch"])
    terminal.end()
    screen = screen_of(terminal.text)
    assert screen.display[0].startswith("Error: Model")
    assert {screen.buffer[0][at].fg for at in range(6)} == {"red"}
    assert screen.buffer[0][7].fg == "default"
    assert {screen.buffer[1][at].fg for at in range(5)} == {"cyan"}
    warned = AtTerminal(["model", "list"])
    warned.end()
    assert screen_of(warned.text).display[0].startswith("Warning: ")
    assert screen_of(warned.text).buffer[0][0].fg == "brown"  # ANSI's name for a dark yellow.


def test_marks_and_headings_have_colour_in_the_pretty_format_alone(case_directory: Path) -> None:
    words = ["model", "pull", f"file://{case_directory}/tiny.gguf", "--force"]
    pretty = AtTerminal([*words, "--output", "pretty"])
    pretty.end()
    assert "\x1b[32m✓" in pretty.text
    text = AtTerminal(words)
    text.end()
    assert "\x1b[32m" not in text.text
    table = AtTerminal(["model", "list", "-v", "--output", "pretty"])
    table.end()
    screen = screen_of(table.text)
    row = next(at for at, line in enumerate(screen.display) if "NAME" in line)
    assert screen.buffer[row][screen.display[row].index("NAME")].bold


@pytest.mark.parametrize("way", ["--no-color", "NO_COLOR", "TERM"])
@pytest.mark.parametrize(
    ("words", "output"), [("model list -v", "pretty"), ("model info nosuch", "text"), ("model info nosuch", "pretty")]
)
def test_without_colour_there_is_no_escape_at_all(words: str, output: str, way: str, case_directory: Path) -> None:
    options = ["--no-color"] if way == "--no-color" else []
    env = {"NO_COLOR": {"NO_COLOR": "1"}, "TERM": {"TERM": "dumb"}}.get(way, {})
    terminal = AtTerminal([*words.split(), "--output", output, *options], env=env)
    terminal.end()
    assert terminal.text
    # rich's bold is no colour, but it is decoration all the same.
    assert "\x1b" not in terminal.text


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE"])
def test_no_variable_forces_colour_into_a_pipe(variable: str, case_directory: Path) -> None:
    for words in (["model", "list", "-v", "--output", "pretty"], ["model", "info", "nosuch"], ["--help"]):
        done = llmspell(*words, env={variable: "1"})
        assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize("words", ["model list -v", "model available", "model status", "model info tiny"])
def test_a_wide_terminal_shows_what_a_pipe_gets(words: str, case_directory: Path) -> None:
    terminal = AtTerminal(words.split(), columns=300)
    terminal.end()
    piped = llmspell(*words.split())
    shown = [line for line in rendered(terminal.text, 300) if not line.startswith(("Warning: ", "Hint: "))]
    assert shown == [line.rstrip() for line in piped.out.splitlines()]


@pytest.mark.parametrize("columns", [60, 120, 200])
def test_a_bar_never_breaks_its_line_and_leaves_nothing_behind(columns: int, case_directory: Path) -> None:
    with hub_server() as server:
        server.files["a-model-with-quite-a-long-name.Q4_K_M.gguf"] = gguf_file(3_000_000)
        words = ["model", "pull", f"{server.url}/files/a-model-with-quite-a-long-name.Q4_K_M.gguf"]
        terminal = AtTerminal(words, columns=columns, env=server.environment())
        assert terminal.end() == 0
    screen = pyte.Screen(columns, 40)
    stream = pyte.Stream(screen)
    drawn = 0
    for piece in terminal.text.split("\r"):
        stream.feed("\r" + piece)
        lines = [line for line in screen.display if line.strip()]
        drawn += any("%" in line for line in lines)
        # A bar that is too long would go on in the next line.
        assert len(lines) <= 2
    assert drawn
    assert lines == [line for line in lines if line.startswith("✓ Downloaded")]
