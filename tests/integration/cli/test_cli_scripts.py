"""`run` and `exec`: arguments, output, results, errors, limits, Ctrl-C, in both modes."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import COMMAND, Running, llmspell
from tests.support.kernels import KernelProcess

HELLO = "print('Hello, ' .. tostring(ARGS.name))\n"


@pytest.fixture(params=["embedded", "connected"])
def target(request: pytest.FixtureRequest, home: Path) -> Iterator[list[str]]:
    """The words that choose the mode."""
    if request.param == "embedded":
        yield []
        return
    process = KernelProcess()
    yield ["--connect", str(process.started["connection_file"])]
    process.stop()


def test_a_script_prints_and_its_result_is_not_shown(home: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.lua").write_text(HELLO + "return 7")
    done = llmspell("run", "hello.lua", "--", "--name", "world")
    assert (done.status, done.out, done.err) == (0, "Hello, world\n", "")


def test_arguments_are_positional_named_and_flags(home: Path, tmp_path: Path) -> None:
    (tmp_path / "args.lua").write_text("print(ARGS[0], ARGS[1], ARGS['2'], ARGS.size, ARGS.verbose, #ARGS)")
    done = llmspell("run", "args.lua", "a", "b", "--size", "3", "--verbose")
    assert done.out == "args.lua\ta\tb\t3\ttrue\t2\n"


def test_a_run_as_json_is_one_document(home: Path, tmp_path: Path) -> None:
    (tmp_path / "hello.lua").write_text(HELLO)
    document = llmspell("run", "hello.lua", "--json").document
    duration = document.pop("duration_ms")
    assert duration >= 0
    assert document == {
        "status": "success",
        "mode": "embedded",
        "engine": "lua",
        "script": "hello.lua",
        "script_length": len(HELLO),
        "args_count": 0,
        "streaming": False,
        "output": "Hello, nil\n",
        "result": None,
        "exit_code": None,
        "kernel": None,
    }


def test_a_streamed_run_is_events_and_a_result(target: list[str]) -> None:
    events = llmspell(*target, "run", "--json", "--stream", "-", stdin="print('a') print('b') return {1, 2}").events
    assert {event["event"] for event in events[:-1]} == {"output"}
    assert "".join(event["text"] for event in events[:-1]) == "a\nb\n"
    assert (events[-1]["event"], events[-1]["result"], events[-1]["streaming"]) == ("result", [1, 2], True)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("return 6*7", "42\n"),
        ("print('x')", "x\n"),
        ("io.write('no newline') return 'text'", "no newline\ntext\n"),
        ("return nil", ""),
        ("return {a = 1}", "{a = 1}\n"),
        ("return 'a', 2", '"a"  2\n'),
        ("('x'):gsub('x', 'y')", '"y"  1\n'),
        ("return nil, 'problem'", 'nil  "problem"\n'),
        ("1, 'a', nil", '1  "a"  nil\n'),
        ("pcall(function() return nil end)", "true  nil\n"),
    ],
)
def test_exec_shows_the_value_behind_the_output(code: str, shown: str, home: Path) -> None:
    assert llmspell("exec", code).out == shown
    assert llmspell("exec", "-", stdin=code).out == shown


def test_exec_shows_several_values_as_the_repl_does(home: Path) -> None:
    code = "local function f() return 'a', nil, {1} end return f()"
    shown = llmspell("exec", code).out
    assert shown == '"a"  nil  {1}\n'
    assert llmspell("repl", stdin=f"{code}\n").out == shown
    assert llmspell("exec", code, "--json").document["result"] == "a"


def test_exec_shows_what_has_no_form_as_data(home: Path) -> None:
    code = r"{ a = '\xe9' }"
    assert llmspell("exec", code).out == '{a = "\N{REPLACEMENT CHARACTER}"}\n'
    assert llmspell("exec", f"{code}, 2").out == '{a = "\N{REPLACEMENT CHARACTER}"}  2\n'
    for several in ("", ", 2"):
        assert llmspell("exec", code + several, "--json").document["result"] == '{a = "\N{REPLACEMENT CHARACTER}"}'


def test_exec_as_json(home: Path) -> None:
    document = llmspell("exec", "return 6*7", "--json").document
    assert set(document) >= {
        *("status", "mode", "engine", "code_length", "streaming", "output", "result", "duration_ms")
    }
    assert (document["result"], document["code_length"]) == (42, 10)


def test_an_error_names_script_and_line_and_ends_with_1(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.lua").write_text("print('before')\n\nlocal x = nil + 1\n")
    done = llmspell(*target, "run", "bad.lua")
    assert (done.status, done.out) == (1, "before\n")
    assert done.err.startswith("Error: bad.lua:3: ")
    assert "Traceback" not in done.err
    error = llmspell(*target, "--json", "run", "bad.lua").error
    assert (error["code"], error["details"]["line"], error["details"]["output"]) == ("script_error", 3, "before\n")


def test_a_syntax_error_names_the_line(target: list[str]) -> None:
    done = llmspell(*target, "run", "-", stdin="print(1)\nif then\n")
    assert (done.status, done.out) == (1, "")
    assert ":2: " in done.err.splitlines()[0]


def test_what_is_no_script(home: Path, tmp_path: Path) -> None:
    (tmp_path / "binary.lua").write_bytes(b"\x1bLua\xff\xfe")
    assert llmspell("run", "nosuch.lua").status == 3
    assert llmspell("run", ".").status == 2
    assert llmspell("run", "binary.lua").status == 2


@pytest.mark.parametrize("words", [["--engine", "python"], ["--engine", "js"]])
def test_an_engine_that_does_not_exist_yet(words: list[str], home: Path) -> None:
    done = llmspell("exec", *words, "1")
    name = {"js": "javascript"}.get(words[1], words[1])
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: Script engine '{name}' is not available yet.")


def test_an_endless_script_ends_with_5_at_its_timeout(target: list[str]) -> None:
    done = llmspell(*target, "run", "--timeout", "0.5", "-", stdin="while true do end")
    assert done.status == 5
    assert done.err.startswith("Error: ")


@pytest.mark.parametrize(
    "code",
    [
        "print('go') while true do end",
        "print('go') while true do pcall(function() while true do end end) end",
        "print('go') Agent.create{model = 'mock/a'}:complete('x') while true do end",
    ],
)
def test_ctrl_c_ends_a_script_with_130(code: str, target: list[str]) -> None:
    running = Running(*target, "run", "-", stdin=code)
    running.wait_for("go\n")
    running.interrupt()
    done = running.done()
    assert (done.status, done.out, done.err) == (130, "go\n", "Cancelled\n")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads' signal masks are told by /proc alone")
def test_ctrl_c_reaches_no_thread_but_the_commands_own(home: Path) -> None:
    running = Running("run", "-", stdin="print('go') while true do end")
    running.wait_for("go\n")
    taking = [
        int(task.name)
        for task in Path(f"/proc/{running.process.pid}/task").iterdir()
        if not _blocked(task / "status") & 1 << (signal.SIGINT - 1)
    ]
    running.interrupt()
    assert (taking, running.done().status) == ([running.process.pid], 130)


def _blocked(status: Path) -> int:
    return next(int(line.split()[1], 16) for line in status.read_text().splitlines() if line.startswith("SigBlk:"))


def test_a_script_may_be_a_program(home: Path, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("#!/usr/bin/env -S llmspell run --\nprint('Hello', ARGS[1])\nerror('here')\n")
    done = llmspell("run", "--", "hello", "--json")
    assert (done.status, done.out) == (1, "Hello\tnil\n")
    assert done.err.startswith("Error: hello:3: here")


def test_an_executable_script_is_run_by_its_first_line(home: Path, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "llmspell"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    command.chmod(0o755)
    script = tmp_path / "hello"
    script.write_text("#!/usr/bin/env -S llmspell run --\nprint(ARGS[0], ARGS[1], ARGS.json, io.read())\nos.exit(4)\n")
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [script, "-p", "--json"], input="typed\n", env=env, capture_output=True, text=True, check=False
    )
    # Every word behind the script is the script's own.
    assert (done.returncode, done.stdout, done.stderr) == (4, f"{script}\t-p\ttrue\ttyped\n", "")


def test_a_misspelt_name_is_told_with_file_line_and_what_was_meant(target: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.lua").write_text("local name = 'x'\n\nlocal agent = Agnt.create{model = name}\n")
    done = llmspell(*target, "run", "bad.lua")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        "Error: bad.lua:3: attempt to index a nil value (global 'Agnt')\n"
        "  3 | local agent = Agnt.create{model = name}\n"
        "Hint: did you mean 'Agent'?\n"
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_does_no_harm(closed: str, home: Path) -> None:
    line = f"{shlex.join(COMMAND)} exec 'print(io.read()) return 1' {closed}"
    done = subprocess.run(["sh", "-c", line], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "nil\n1\n")


def test_an_encoding_that_lacks_a_sign_gets_a_substitute(home: Path) -> None:
    env = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    assert llmspell("exec", "print('✓ ü')", env=env, encoding="latin-1").out == "? ü\n"


def test_input_that_is_no_text_is_refused(home: Path) -> None:
    done = subprocess.run([*COMMAND, "run", "-"], input=b"\xff\xfe", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (2, b"Error: standard input is not UTF-8 text (byte 0)\n")


def test_a_full_disk_behind_stdout_is_an_error(home: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "exec", "print('x')"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (1, "Error: No space left on device\n")


def test_a_script_may_choose_the_exit_status(target: list[str]) -> None:
    assert llmspell(*target, "exec", "print('x') os.exit(3)").status == 3


def test_a_script_reads_standard_input_up_to_its_end(target: list[str]) -> None:
    code = "print(io.read()) print(io.read()) print(io.read())"
    assert llmspell(*target, "exec", code, stdin="one\ntwo\n").out == "one\ntwo\nnil\n"


def test_logs_never_reach_stdout(home: Path) -> None:
    done = llmspell("--trace", "trace", "exec", "print(1)")
    assert done.out == "1\n"


def test_a_memory_bomb_is_an_error_of_the_script(target: list[str]) -> None:
    done = llmspell(*target, "exec", "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) .. #t end")
    assert done.status == 1
    assert done.err.startswith("Error: ")
