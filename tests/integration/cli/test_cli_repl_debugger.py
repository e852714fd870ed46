"""The repl's debugger: commands with `db:`, the prompt of what is paused, and pipes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, llmspell
from tests.support.repl import leave

SCRIPT = "function half(x)\n  local y = x / 2\n  return y\nend\nprint(half(10))\n"


@pytest.fixture
def script(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "half.lua"
    path.write_text(SCRIPT)
    return path


def test_a_file_that_the_repl_runs_stops_and_goes_on(target: list[str], script: Path) -> None:
    lines = (
        *(
            "db: locals",
            "db: break half.lua:3",
            ".run half.lua",
            "locals",
            "db:print y * 2",
            "c",
            "half(4)",
            "set y = 9",
        ),
        *("debug: continue", "db: break", "db: delete 1", "half(2)"),
    )
    done = llmspell(*target, "repl", stdin="\n".join(lines) + "\n")
    assert done.status == 0, done.err
    assert "Not paused at a breakpoint" in done.err
    assert done.out.splitlines() == [
        "Breakpoint 1 at half.lua:3",
        "Paused at half.lua:3 (breakpoint 1)",
        "    3 |   return y",
        *("x = 10", "y = 5.0", "10.0", "5.0"),
        "Paused at half.lua:3 (breakpoint 1)",
        "    3 |   return y",
        *("y = 9", "9"),
        "1  half.lua:3",
        "Deleted breakpoint 1",
        "1.0",
    ]


def test_what_is_paused_has_its_own_prompt(repl: Callable[..., AtTerminal], script: Path) -> None:
    terminal = repl()
    terminal.type("db: break half.lua:2\r")
    terminal.wait_for("Breakpoint 1 at half.lua:2")
    terminal.wait_for("> ")
    terminal.type(".run half.lua\r")
    terminal.wait_for("Paused at half.lua:2 (breakpoint 1)")
    terminal.wait_for("(debug) > ")
    terminal.type("next\r")
    terminal.wait_for("Paused at half.lua:3 (step)")
    terminal.wait_for("(debug) > ")
    terminal.type("quit\r")
    terminal.wait_for("Interrupted")
    terminal.wait_for("> ")
    leave(terminal)


def test_a_repl_that_ends_leaves_nothing_that_stops(target: list[str], script: Path) -> None:
    done = llmspell(*target, "repl", stdin="db: break half.lua:3\n.run half.lua\n")
    assert done.status == 0
    assert done.out.endswith("5.0\n")
    assert "5.0" in llmspell(*target, "repl", stdin=".run half.lua\n").out


def test_what_an_evaluation_prints_is_shown_at_once(target: list[str], script: Path) -> None:
    lines = (
        *("function f() print('printed') io.stderr:write('warned\\n') return 7 end", "db: print f()"),
        *("db: break half.lua:3", ".run half.lua", "print f()", "print y", "c"),
    )
    done = llmspell(*target, "repl", stdin="\n".join(lines) + "\n")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        *("printed", "7"),
        *("Breakpoint 1 at half.lua:3", "Paused at half.lua:3 (breakpoint 1)", "    3 |   return y"),
        *("printed", "7", "5.0", "5.0"),
    ]
    assert done.err == "warned\nwarned\n"


def test_what_a_log_point_prints_is_shown(target: list[str], script: Path) -> None:
    done = llmspell(*target, "repl", stdin="db: log half.lua:3 y is {y}\n.run half.lua\nhalf(4)\n")
    assert done.status == 0, done.err
    assert done.err == "y is 5.0\ny is 2.0\n"
    assert done.out.splitlines()[-2:] == ["5.0", "2.0"]


def test_what_an_evaluation_prints_is_in_the_event_of_its_input(target: list[str], script: Path) -> None:
    done = llmspell(*target, "--json", "repl", stdin="db: print print('printed') or 7\n")
    assert done.status == 0, done.err
    assert done.events[-1]["output"] == "printed\n7\n"
