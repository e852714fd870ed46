"""`debug`: a script stopped, looked at and changed, at a terminal and through a pipe, with either kind of kernel."""

from __future__ import annotations

import socket
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from llmspell_cli.debugger.dap_stream import DapStream, packed
from tests.support.command_line import AtTerminal, Running, llmspell

SCRIPT = """\
local function twice(x)
  local y = x * 2
  return y
end

local total = 0
for i = 1, 3 do
  total = total + twice(i)
end
print(total, ARGS[1])
os.exit(3)
"""


@pytest.fixture
def script(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sum.lua"
    path.write_text(SCRIPT)
    return path


def test_commands_from_a_pipe_drive_the_script(target: list[str], script: Path) -> None:
    commands = (
        *("break 2 if x == 2", "c", "where", "locals", "p x + 1, 'two'", "set x = 50", "up", "locals", "watch total"),
        *("finish", "list 8", "bogus", "break", "delete 1", "c"),
    )
    done = llmspell(*target, "debug", "sum.lua", "--", "hi", stdin="\n".join(commands) + "\n")
    assert done.status == 3
    assert done.out.splitlines() == [
        "Paused at sum.lua:1 (entry)",
        "    1 | local function twice(x)",
        "Breakpoint 1 at sum.lua:2",
        "Paused at sum.lua:2 (breakpoint 1)",
        "    2 |   local y = x * 2",
        "*  #0  twice       sum.lua:2",
        "   #1  main chunk  sum.lua:8",
        "x = 2",
        '3\t"two"',
        "x = 50",
        "#1 main chunk at sum.lua:8",
        "    8 |   total = total + twice(i)",
        *[line for line in done.out.splitlines() if line.startswith("twice = function")],
        "total = 2",
        "i = 2",
        '...1 = "hi"',
        "Watch 1: total = 2",
        "Paused at sum.lua:7 (step)",
        "    7 | for i = 1, 3 do",
        "  watch total = 102",
        *("    3 |   return y", "    4 | end", "    5 | ", "    6 | local total = 0", ">   7 | for i = 1, 3 do"),
        *("    8 |   total = total + twice(i)", "    9 | end", "   10 | print(total, ARGS[1])", "   11 | os.exit(3)"),
        "   12 | ",
        "1  sum.lua:2 if x == 2",
        "Deleted breakpoint 1",
        "108\thi",
    ]
    assert done.err.splitlines() == ["Error: Unknown command bogus, see help", "Hint: print bogus shows a value"]


def test_events_are_objects_of_a_line_each(target: list[str], script: Path) -> None:
    words = ("--break-at", "sum.lua:5", "--break-at", "9", "--watch", "total", "sum.lua")
    done = llmspell(*target, "--json", "debug", *words, stdin="c\np nothing.x\nc\n")
    assert done.status == 3
    events = done.events
    stop = events[0]
    assert (stop["event"], stop["reason"], stop["file"], stop["line"]) == ("stopped", "breakpoint", "sum.lua", 6)
    assert stop["watches"] == [{"expression": "total", "value": "nil"}]
    assert [event["event"] for event in events[-3:]] == ["answer", "output", "terminated"]
    failed = next(event for event in events if event.get("error"))
    assert failed["error"]["message"].startswith("attempt to index a nil value")
    assert events[-1]["exit"] == 3


def test_the_script_goes_on_when_the_commands_have_ended(target: list[str], script: Path) -> None:
    done = llmspell(*target, "debug", "-b", "2", "sum.lua", stdin="")
    assert done.status == 3
    assert done.out.endswith("12\tnil\n")
    assert done.out.count("Paused") == 1


def test_an_error_stops_where_it_is_raised_and_is_told_at_the_end(target: list[str], script: Path) -> None:
    script.write_text("local name = 'x'\nlocal t = {}\nprint(t[name].y)\n")
    done = llmspell(*target, "debug", "--break-on-error", "sum.lua", stdin="p name\nc\n")
    assert done.status == 1
    assert done.out.splitlines()[:2] == [
        "Paused at sum.lua:3 (error)",
        "  sum.lua:3: attempt to index a nil value (field '?')",
    ]
    assert '"x"' in done.out
    assert done.err.startswith("Error: sum.lua:3: attempt to index a nil value")


def test_log_points_hits_and_stops_for_once(target: list[str], script: Path) -> None:
    commands = ("log 2 x is {x}", "break 8", "hits 2 >= 3", "tbreak 10", "disable 9", "c", "p i", "c", "watch", "quit")
    done = llmspell(*target, "debug", "sum.lua", stdin="\n".join(commands) + "\n")
    assert done.status == 0
    assert "x is 1\nx is 2\n" in done.err
    assert "there is no breakpoint 9" in done.err
    stops = [line for line in done.out.splitlines() if line.startswith("Paused")]
    assert stops == [
        "Paused at sum.lua:1 (entry)",
        "Paused at sum.lua:8 (breakpoint 2)",
        "Paused at sum.lua:10 (breakpoint 3)",
    ]
    assert "108" not in done.out


def test_a_breakpoint_in_a_module_and_one_that_moves(target: list[str], script: Path) -> None:
    script.with_name("other.lua").write_text(
        "local M = {}\n\nfunction M.f()\n  -- nothing here\n  return 5\nend\nreturn M\n"
    )
    script.write_text("local other = require('other')\nprint(other.f())\n")
    done = llmspell(*target, "debug", "--break-at", "other.lua:4", "sum.lua", stdin="where\nc\n")
    assert "Breakpoint 1 at other.lua:5, since there is no code on line 4" in done.out
    assert "Paused at other.lua:5 (breakpoint 1)" in done.out
    assert done.out.endswith("5\n")


def test_a_place_that_is_none_is_refused_before_anything_runs(script: Path) -> None:
    done = llmspell("debug", "--break-at", "sum.lua:x", "sum.lua")
    assert done.status == 2
    assert "is not a place in a script" in done.err


def test_at_a_terminal_it_has_a_prompt_and_ctrl_c_pauses(target: list[str], script: Path) -> None:
    script.write_text("local n = 0\nprint('begun')\nwhile not done do\n  n = n + 1\nend\nprint('the end')\n")
    terminal = AtTerminal([*target, "debug", "sum.lua"])
    terminal.wait_for("Paused at sum.lua:1 (entry)")
    terminal.wait_for("(debug) > ")
    terminal.type("next\r")
    terminal.wait_for("Paused at sum.lua:2 (step)")
    terminal.wait_for("(debug) > ")
    terminal.type("c\r")
    terminal.wait_for("begun")
    terminal.type("\x03")
    terminal.wait_for("(pause)")
    terminal.wait_for("(debug) > ")
    terminal.type("set done = true\r")
    terminal.wait_for("done = true")
    terminal.wait_for("(debug) > ")
    terminal.type("c\r")
    terminal.wait_for("the end")
    assert terminal.end() == 0


def test_quitting_at_a_terminal_ends_the_script(target: list[str], script: Path) -> None:
    terminal = AtTerminal([*target, "debug", "sum.lua"])
    terminal.wait_for("(debug) > ")
    terminal.type("\x04")
    assert terminal.end() == 0
    assert "nil" not in terminal.said


def test_lines_are_obeyed_while_the_script_runs(target: list[str], script: Path) -> None:
    script.write_text("local n = 0\nprint('begun')\nwhile not done do\n  n = n + 1\nend\nprint('the end')\n")
    terminal = AtTerminal([*target, "debug", "sum.lua"])
    terminal.wait_for("(debug) > ")
    terminal.type("c\r")
    terminal.wait_for("begun")
    terminal.type("help\r")
    terminal.wait_for("the calls that led here")
    terminal.type("p 6 * 7\r")
    terminal.wait_for("p waits until the script stops or reads; pause stops it")
    terminal.type("pause\r")
    terminal.wait_for("(pause)")
    terminal.wait_for("(debug) > p 6 * 7")
    terminal.wait_for("42")
    terminal.wait_for("(debug) > ")
    terminal.type("c\rpause\rset done = true\rc\r")
    terminal.wait_for("(pause)")
    terminal.wait_for("the end")
    assert terminal.end() == 0


def test_a_script_that_reads_gets_what_was_typed_ahead(target: list[str], script: Path) -> None:
    script.write_text("local name = input('name? ')\nprint('hello ' .. name .. input('and? '))\n")
    terminal = AtTerminal([*target, "debug", "sum.lua"])
    terminal.wait_for("(debug) > ")
    terminal.type("c\rAda\r")
    terminal.wait_for("name? Ada")
    terminal.wait_for("and? ")
    terminal.type("Grace\r")
    terminal.wait_for("hello AdaGrace")
    assert terminal.end() == 0


def test_quit_ends_a_script_that_runs(target: list[str], script: Path) -> None:
    script.write_text("print('begun')\nwhile true do\nend\n")
    terminal = AtTerminal([*target, "debug", "sum.lua"])
    terminal.wait_for("(debug) > ")
    terminal.type("c\r")
    terminal.wait_for("begun")
    terminal.type("quit\r")
    assert terminal.end() == 0


def test_a_pipe_pauses_a_script_that_runs_and_is_taken_in_order(target: list[str], script: Path) -> None:
    script.write_text("n = 0\nwhile not done do\n  n = n + 1\nend\nprint('the end')\nprint('last')\n")
    commands = ("c", "pause", "p n >= 0", "set done = true", "tbreak 6", "c", "p done", "c", "quit")
    done = llmspell(*target, "debug", "sum.lua", stdin="\n".join(commands) + "\n")
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    stops = [line for line in lines if line.startswith("Paused")]
    assert (len(stops), stops[0], stops[2]) == (
        *(3, "Paused at sum.lua:1 (entry)"),
        "Paused at sum.lua:6 (breakpoint 1)",
    )
    assert stops[1].endswith("(pause)")
    # `quit` comes behind the last `c`: the script has ended before.
    assert lines[-1] == "last"


def test_a_program_pauses_what_runs_and_hears_of_it_in_order(target: list[str], script: Path) -> None:
    script.write_text("while not done do end\n")
    done = llmspell(*target, "--json", "debug", "sum.lua", stdin="c\npause\nset done = true\nc\n")
    assert done.status == 0, done.err
    told = [(event["event"], event.get("command") or event.get("reason")) for event in done.events]
    assert told == [
        *(("stopped", "entry"), ("answer", "c"), ("answer", "pause"), ("stopped", "pause")),
        *(("answer", "set done = true"), ("answer", "c"), ("terminated", None)),
    ]


def test_a_script_reads_the_lines_behind_the_command_that_lets_it_go_on(target: list[str], script: Path) -> None:
    script.write_text("local name = io.read()\nprint('hello ' .. name)\n")
    done = llmspell(*target, "debug", "--break-at", "2", "sum.lua", stdin="Ada\np name\nc\n")
    assert done.status == 0, done.err
    assert '"Ada"' in done.out
    assert done.out.endswith("hello Ada\n")


class Editor:
    """A client of the Debug Adapter Protocol on a socket."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream = DapStream()
        self._come: list[dict[str, Any]] = []
        self._numbers = count(1)

    def ask(self, command: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        self._socket.sendall(packed({"seq": number, "type": "request", "command": command, "arguments": arguments}))
        response = self._until(lambda one: one.get("request_seq") == number)
        assert response["success"], response
        return response["body"]

    def close(self) -> None:
        self._socket.close()

    def event(self, name: str) -> Any:
        return self._until(lambda one: one.get("event") == name)["body"]

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        for at, message in enumerate(self._come):
            if wanted(message):
                return self._come.pop(at)
        while data := self._socket.recv(65536):
            self._come += self._stream.feed(data)
            for at, message in enumerate(self._come):
                if wanted(message):
                    return self._come.pop(at)
        raise AssertionError(f"it never came: {self._come}")


def test_an_editor_debugs_through_a_port(target: list[str], script: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = Running(*target, "debug", "--port", str(port), "sum.lua")
    command.wait_for(f"Waiting for a debugger on 127.0.0.1:{port}\n")
    editor = Editor(port)
    editor.event("process")
    assert editor.ask("initialize", clientID="vscode")["supportsLogPoints"]
    editor.ask("launch")
    editor.event("initialized")
    places = editor.ask(
        "setBreakpoints", source={"path": str(script)}, breakpoints=[{"line": 3, "condition": "x == 2"}]
    )
    assert places["breakpoints"][0]["verified"]
    editor.ask("configurationDone")
    assert editor.event("stopped")["reason"] == "breakpoint"
    frame = editor.ask("stackTrace", threadId=1)["stackFrames"][0]
    assert (frame["line"], frame["source"]["path"]) == (3, str(script))
    assert editor.ask("evaluate", expression="y", frameId=frame["id"])["result"] == "4"
    editor.ask("continue", threadId=1)
    assert editor.event("output") == {"category": "stdout", "output": "12\tnil\n"}
    assert editor.event("exited") == {"exitCode": 3}
    assert command.done().status == 3
    editor.close()
