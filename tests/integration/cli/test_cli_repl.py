"""`repl`: what is typed, completed, kept and shown at a terminal, and what runs that comes from a pipe."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, llmspell
from tests.support.repl import leave, say


@pytest.mark.parametrize("columns", [60, 200])
def test_inputs_of_one_and_of_several_lines_show_prompt_output_and_result(
    repl: Callable[..., AtTerminal], columns: int
) -> None:
    terminal = repl(columns=columns)
    say(terminal, ("x = 20 + 1", "\r\n"), ("x * 2", "\r\n42\r\n"))
    terminal.type("for i = 1, 2 do\r")
    terminal.wait_for("... ")
    terminal.type("  print(i)\r")
    terminal.wait_for("... ")
    terminal.type("end\r")
    terminal.wait_for("1\r\n2\r\n")
    terminal.wait_for("> ")
    leave(terminal)
    assert "WARNING" not in terminal.text


def test_an_empty_line_runs_what_is_incomplete_as_it_is(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("x = (1 +\r")
    terminal.wait_for("... ")
    terminal.type("\r")
    terminal.wait_for("Error: In[1]:")
    terminal.wait_for("near <eof>")
    terminal.wait_for("> ")
    leave(terminal)


def test_an_error_does_not_end_the_session(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    say(
        terminal,
        ("Agnet.create{}", "Hint: did you mean 'Agent'?"),
        ("print('a') error('no')", "a\r\nError: In[2]:1: no"),
    )
    say(terminal, ("io.write('half')", "half\r\n"), ("'text'", '"text"\r\n'))
    leave(terminal)


def test_an_error_that_is_too_long_for_the_terminal_is_broken_once_and_between_words(home: Path) -> None:
    terminal = AtTerminal(["repl"], columns=60)
    terminal.wait_for("> ")
    say(terminal, (".save /nonexistent/x.json", "x.json: No such file or\r\ndirectory\r\n"))
    leave(terminal)


def test_a_script_that_reads_is_answered_at_the_prompt(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("io.write('Your name? ') name = io.read()\r")
    terminal.wait_for("\nYour name? ")
    terminal.type("Ann\r")
    terminal.wait_for("Ann\r\n> ")
    say(terminal, ("name", '"Ann"'))
    terminal.type("name = io.read()\rtyped ahead\r")
    terminal.wait_for("typed ahead\r\n> ")
    say(terminal, ("name", '"typed ahead"'))
    terminal.type("print('reading') print(io.read())\r")
    terminal.wait_for("reading\r\n")
    terminal.type("\x04")
    terminal.wait_for("nil\r\n")
    terminal.wait_for("> ")
    terminal.type("print('reading') io.read()\r")
    terminal.wait_for("reading\r\n")
    terminal.type("\x03")
    terminal.wait_for("Interrupted")
    terminal.wait_for("> ")
    leave(terminal)


def test_tab_completes_commands_files_and_the_names_that_the_kernel_knows(
    repl: Callable[..., AtTerminal], tmp_path: Path
) -> None:
    (tmp_path / "greeting.lua").write_text("print('hello', ARGS[1])\n")
    terminal = repl()
    terminal.type(".run gre\t")
    terminal.wait_for(".run greeting.lua")
    terminal.type(" you\r")
    terminal.wait_for("hello\tyou\r\n")
    terminal.wait_for("> ")
    say(terminal, ("a_long_name = 77", "\r\n"))
    terminal.type("a_lon\t")
    terminal.wait_for("a_long_name")
    terminal.type("\r")
    terminal.wait_for("77\r\n")
    terminal.wait_for("> ")
    terminal.type(".clear-h\t")
    terminal.wait_for(".clear-history")
    terminal.type("\r")
    terminal.wait_for("History cleared")
    terminal.wait_for("> ")
    leave(terminal)


def test_inputs_are_kept_for_the_next_session_in_a_file_of_ones_own(
    repl: Callable[..., AtTerminal], home: Path
) -> None:
    first = repl()
    say(first, ("1 + 41", "\r\n42\r\n"))
    leave(first)
    file = home / "repl_history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = repl()
    second.type("\x1b[A")
    second.wait_for("1 + 41")
    second.type("\r")
    second.wait_for("\r\n42\r\n")
    second.wait_for("> ")
    say(second, (".clear-history", "History cleared"))
    leave(second)
    assert "1 + 41" not in file.read_text()


def test_history_has_a_file_of_ones_choice(repl: Callable[..., AtTerminal], tmp_path: Path, home: Path) -> None:
    terminal = repl("--history", "mine.txt")
    say(terminal, ("7 * 6", "42"))
    leave(terminal)
    assert "7 * 6" in (tmp_path / "mine.txt").read_text()
    assert not (home / "repl_history").exists()


def test_colours_are_those_of_lua_and_none_where_none_are_wanted(repl: Callable[..., AtTerminal]) -> None:
    coloured = repl()
    say(coloured, ("local x = 1", "\r\n"))
    leave(coloured)
    assert "\x1b[0;35;1mlocal" in coloured.text
    plain = repl(env={"NO_COLOR": "1"})
    say(plain, ("local x = 1", "\r\n"))
    leave(plain)
    assert "\x1b[0;3" not in plain.text
    assert "\x1b[3" not in plain.text


def test_a_dumb_terminal_gets_plain_lines(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl(env={"TERM": "dumb"})
    say(terminal, ("x = 1", "\r\n"), ("x + 1", "\r\n2\r\n"))
    terminal.type("for i = 1, 1 do\r")
    terminal.wait_for("... ")
    terminal.type("\x03")
    terminal.wait_for("> ")
    terminal.type("print('go') while true do end\r")
    terminal.wait_for("go\r\n")
    terminal.type("\x03")
    terminal.wait_for("Interrupted")
    terminal.wait_for("> ")
    leave(terminal)
    assert "\x1b" not in terminal.text


def test_the_commands_with_a_dot(repl: Callable[..., AtTerminal], tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "script.lua").write_text("made = #ARGS return 'not shown'\n")
    terminal = repl()
    say(
        terminal,
        (".help", ".use MODEL"),
        (".h", ".clear-history"),
        (".set answer 42", "Set answer = 42"),
        ("answer + 1", "43"),
        (".set words two words", "Set words = two words"),
        ("function f() end", "\r\n"),
        (".vars", "answer  number    42"),
        (".variables", 'words   string    "two words"'),
        (".save s.json", "Session saved to s.json"),
        (".unset answer", "Unset answer"),
        ("answer", "\r\n"),
        (".reset", "Session reset"),
        (".vars", "No variables"),
        (".load s.json", "Session loaded from s.json"),
        ("answer .. words", '"42two words"'),
        (".hist", "    1  answer + 1"),
        (".run script.lua a b", "\r\n"),
        ("made", "2\r\n"),
        (".perf on", "Times are shown"),
        ("1", " ms)"),
        (".perf", "Times are not shown"),
        (".ls", "sub/"),
        (".cd sub", "/sub\r\n"),
        (".pwd", "/sub\r\n"),
        (".models", "No local models found"),
        (".use mock/a", "Using mock/a@mock"),
        ("Agent.create{}:complete('hi')", '"[mock/a] hi"'),
        (".info", "Executions:  "),
        (".foo", "Unknown command .foo, see .help"),
        ("db:break 3", "which file? nothing is paused"),
        (".load nosuch.json", "Error: file not found: nosuch.json"),
        (".set", "Hint: .set answer 42"),
        (".clear", ""),
    )
    terminal.type(".exit\r")
    assert terminal.end() == 0
    saved = json.loads((tmp_path / "s.json").read_text())
    assert saved["variables"] == {"answer": 42, "words": "two words"}
    assert saved["skipped"] == ["f"]
    assert saved["inputs"][0] == "answer + 1"


def test_plain_words_leave_and_help_unless_scripts_have_given_them_a_value(home: Path) -> None:
    told = llmspell("repl", stdin="help\nexit = 7\nexit\nquit()\nerror('never')\n")
    assert (told.status, told.err) == (0, "")
    assert ".help, .h, .?" in told.out
    assert told.out.endswith("\n7\n")


def test_os_exit_ends_the_session_with_its_status(repl: Callable[..., AtTerminal]) -> None:
    terminal = repl()
    terminal.type("os.exit(3)\r")
    assert terminal.end() == 3


def test_lines_of_a_pipe_run_without_prompts(target: list[str]) -> None:
    inputs = "x = 20 + 1\nx * 2\nfor i = 1, 2 do\n  print(i)\nend\n\nio.read()\na line\n"
    done = llmspell(*target, "repl", stdin=inputs)
    assert (done.status, done.out, done.err) == (0, '42\n1\n2\n"a line"\n', "")


def test_an_empty_line_within_a_function_does_not_end_it_in_a_pipe(target: list[str]) -> None:
    inputs = "function f()\n\n  return [[a\n\nb]]\nend\n\nf()\n"
    done = llmspell(*target, "repl", stdin=inputs)
    assert (done.status, done.out, done.err) == (0, '"a\\n\\nb"\n', "")


def test_variables_of_odd_values_hide_no_others(target: list[str], tmp_path: Path) -> None:
    inputs = 'bytes = "\\xff" nan = 0/0 ring = {} ring.ring = ring _G["a b"] = 1 kept = "日本" big = 2^53\n'
    done = llmspell(*target, "repl", stdin=f"{inputs}.vars\n.save s.json\n.reset\n.load s.json\nkept .. type(bytes)\n")
    assert (done.status, done.err) == (0, "")
    shown = done.out.splitlines()
    assert [line.split()[0] for line in shown[:6]] == ["a", "big", "bytes", "kept", "nan", "ring"]
    assert shown[2].split() == ["bytes", "string", "\ufffd"]
    assert shown[6] == "Session saved to s.json (without a b, bytes, nan, ring, which can't be written)"
    assert shown[-1] == '"日本nil"'
    assert json.loads((tmp_path / "s.json").read_text())["variables"] == {"big": 2**53, "kept": "日本"}


def test_set_takes_what_is_no_json_as_text_and_refuses_names_that_lua_lacks(target: list[str]) -> None:
    done = llmspell(*target, "repl", stdin=".set a NaN\n.set b 1e400\na .. b\n.set end 1\n.unset end\n.set a b\n")
    assert done.out.splitlines()[2] == '"NaN1e400"'
    assert done.err == "Error: 'end' is not a name of a variable\n" * 2


def test_the_status_is_that_of_the_last_line(target: list[str]) -> None:
    failed = llmspell(*target, "repl", stdin="print(1)\nerror('no')\n")
    assert (failed.status, failed.out) == (1, "1\n")
    assert failed.err == "Error: In[2]:1: no\n  1 | error('no')\n"
    assert llmspell(*target, "repl", stdin="error('no')\nprint(1)\n").status == 0
    assert llmspell(*target, "repl", stdin="x = (1 +\n").status == 1
    assert llmspell(*target, "repl", stdin=".foo\n").status == 1
    assert llmspell(*target, "repl", stdin="").status == 0
    assert llmspell(*target, "repl", stdin=".exit\nerror('never')\n").status == 0


def test_json_mode_has_an_event_for_each_input(target: list[str]) -> None:
    done = llmspell(*target, "repl", "--json", stdin="print('hi') return {1, 2}\nerror('no')\n.set x 1\nprint\n")
    value, error, command, function = done.events
    keys = ["event", "execution_count", "status", "output", "result", "error", "duration_ms"]
    assert all(list(event) == keys for event in done.events)
    assert (value["event"], value["execution_count"], value["status"]) == ("result", 1, "success")
    assert (value["output"], value["result"], value["error"]) == ("hi\n", [1, 2], None)
    assert (error["execution_count"], error["status"], error["error"]["code"]) == (2, "error", "script_error")
    assert command["output"] == "Set x = 1\n"
    assert function["result"] == "<function>"
    assert done.status == 0


def test_an_engine_that_is_missing_ends_it_before_the_first_prompt(target: list[str]) -> None:
    done = llmspell(*target, "repl", "--engine", "python", stdin="1\n")
    assert (done.status, done.err.splitlines()[0]) == (2, "Error: Script engine 'python' is not available yet.")
