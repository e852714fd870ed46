"""process-executor: real programs, held to what the call may run, see, print and take of time."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.children import running_children
from tests.support.leftovers import Traces
from tests.support.tool_calls import Called, call_tool


def execute(*allowed: str, **arguments: Any) -> Called:
    return call_tool("process-executor", arguments, run=allowed)


def within(place: Path, *allowed: str, system: dict[str, Any] | None = None, **arguments: Any) -> Called:
    tables = None if system is None else {"system": system}
    return call_tool(
        "process-executor",
        arguments,
        run=allowed,
        read=[str(place)],
        directory=str(place),
        variables={"CITY": "Wien"},
        tables=tables,
    )


def left_of(called: Called) -> dict[str, Any]:
    """The result of a call whose program said no."""
    assert called.failure is not None
    assert called.failure.outcome is not None
    result: dict[str, Any] = called.failure.outcome.result
    return result


def test_a_program_runs_with_its_arguments_and_without_a_shell() -> None:
    ran = execute("echo", executable="echo", arguments=["$HOME", "a  b", "*", "; false"])
    assert ran.output == "$HOME a  b * ; false\n"
    assert {name: ran.result[name] for name in ("executable", "arguments", "exit_code", "success", "stderr")} == {
        "executable": "echo",
        "arguments": ["$HOME", "a  b", "*", "; false"],
        "exit_code": 0,
        "success": True,
        "stderr": "",
    }
    assert ran.result["stdout"] == ran.result["output"] == ran.output
    assert ran.result["timed_out"] is ran.result["truncated"] is False
    assert ran.result["execution_time_ms"] >= 0
    assert ran.outcome is not None
    assert ran.outcome.message == "echo ended with status 0"


def test_one_line_and_other_names_mean_the_same() -> None:
    assert execute("echo", command="echo 'a  b' c").output == "a  b c\n"
    assert execute("echo", command="echo a", args=["b"]).output == "a b\n"
    assert execute("echo", executable="echo", args="one").output == "one\n"
    assert execute("echo", executable="echo", arguments={}).output == "\n"
    assert (
        execute("echo", command="echo a | cat > /tmp/x; echo b && `id`").output == "a | cat > /tmp/x; echo b && `id`\n"
    )


def test_a_status_other_than_0_is_the_programs_own_no(tmp_path: Path) -> None:
    said = execute("ls", executable="ls", arguments=[str(tmp_path / "none")])
    assert said.said.startswith("ls ended with status ")
    assert "none" in said.said
    assert left_of(said)["success"] is False
    assert left_of(said)["exit_code"] != 0
    assert "none" in left_of(said)["stderr"]


def test_a_signal_is_a_negative_status() -> None:
    called = execute("*", executable="sh", arguments=["-c", "kill -TERM $$"])
    assert left_of(called)["exit_code"] == -15
    assert called.said == "sh ended by signal SIGTERM"


@pytest.mark.parametrize(
    ("allowed", "program"),
    [
        ((), "echo"),
        (("echo",), "cat"),
        (("echo",), "./echo"),
        (("echo",), "/tmp/echo"),
        (("echo",), "echo "),
        (("echo",), "ECHO"),
        (("echo",), "sh"),
        (("/bin/cat",), "echo"),
        (("echo", "cat"), "echo cat"),
    ],
)
def test_what_is_not_named_does_not_run(tmp_path: Path, allowed: tuple[str, ...], program: str) -> None:
    other = tmp_path / "echo"
    other.write_text("#!/bin/sh\ntouch ran\n")
    other.chmod(0o755)
    with pytest.raises(Forbidden, match="Command blocked: ") as refused:
        within(tmp_path, *allowed, executable=program)
    assert refused.value.details["permission"] == "run"
    assert os.listdir(tmp_path) == ["echo"]


def test_a_program_may_be_named_by_its_path() -> None:
    import shutil

    path = shutil.which("echo")
    assert path is not None
    for allowed, called in [("echo", path), (path, "echo"), (path, path), ("*", path)]:
        assert execute(allowed, executable=called, arguments=["x"]).output == "x\n"


def test_what_is_found_first_on_a_relative_path_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "echo"
    other.write_text("#!/bin/sh\necho other\n")
    other.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f".::{os.environ['PATH']}")
    assert within(tmp_path, "echo", executable="echo", arguments=["own"]).output == "own\n"


def test_a_program_that_is_not_there_is_told() -> None:
    for allowed in ("no-such-program", "*"):
        called = execute(allowed, executable="no-such-program")
        assert called.said == "no-such-program: there is no such program"


def test_the_environment_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = within(tmp_path, "env", executable="env", environment={"GIVEN": "yes", "CITY": "Graz"}).output
    lines = dict(line.split("=", 1) for line in seen.splitlines())
    assert lines["GIVEN"] == "yes"
    assert lines["CITY"] == "Graz"
    assert "secret" not in seen
    assert set(lines) <= {*("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "USER"), "GIVEN", "CITY"}
    assert "CITY=Wien" in within(tmp_path, "env", executable="env").output


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV", "PYTHONPATH", "IFS", "ld_preload"]
)
def test_a_variable_that_makes_another_program_of_it_is_refused(name: str) -> None:
    with pytest.raises(Forbidden, match="can make a program run others"):
        execute("echo", executable="echo", environment={name: "/tmp/x"})
    assert execute("*", executable="echo", environment={name: "/usr/bin:/bin"}).result["exit_code"] == 0


def test_it_runs_where_it_is_told_to_if_that_may_be_read(tmp_path: Path) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    (place / "below").mkdir(parents=True)
    outside.mkdir()
    (place / "out").symlink_to(outside)
    assert within(place, "pwd", executable="pwd").output == f"{place}\n"
    assert within(place, "pwd", executable="pwd", working_directory="below").output == f"{place}/below\n"
    for directory in (str(outside), "..", "out", "/"):
        with pytest.raises(Forbidden, match="Path not allowed"):
            within(place, "pwd", executable="pwd", working_directory=directory)
    assert "no such file" in within(place, "pwd", executable="pwd", working_directory="none").said


def test_output_is_kept_up_to_the_limit(tmp_path: Path) -> None:
    system = {"max_output_size": 1000, "command_timeout_seconds": 30}
    code = "import sys; sys.stderr.write('e' * 400); sys.stderr.flush(); print('o' * 5_000_000)"
    ran = within(tmp_path, "*", system=system, executable=sys.executable, arguments=["-c", code])
    assert ran.result["truncated"] is True
    assert len(ran.result["stdout"]) + len(ran.result["stderr"]) == 1000
    assert ran.result["exit_code"] == 0


def test_a_program_whose_time_is_over_is_ended(tmp_path: Path) -> None:
    started = "printf started; sleep 100"
    called = within(tmp_path, "*", executable="sh", arguments=["-c", started], timeout_ms=500)
    assert called.said.startswith("sh timed out after 0.5")
    assert called.failure is not None
    assert called.failure.code == "timeout"
    assert left_of(called)["timed_out"] is True
    assert left_of(called)["stdout"] == "started"
    short = {"max_output_size": 1000, "command_timeout_seconds": 0.3}
    arguments = {"executable": "sleep", "arguments": ["100"], "timeout_ms": 60_000}
    assert left_of(within(tmp_path, "*", system=short, **arguments))["timed_out"] is True


DETACHED = """
import os, sys, time
for way in range(3):
    if os.fork() == 0:
        if way > 0:
            os.setsid()
        if way > 1 and os.fork():
            os._exit(0)
        for fd in range(3):
            os.close(fd)
        time.sleep(1000)
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of what its descendants leave behind")
@pytest.mark.parametrize("ends", ["by itself", "by time"])
def test_nothing_that_a_program_has_started_outlives_it(tmp_path: Path, ends: str) -> None:
    before = Traces.now()
    code = DETACHED + ("time.sleep(1000)" if ends == "by time" else "")
    called = within(tmp_path, "*", executable=sys.executable, arguments=["-c", code], timeout_ms=3000)
    assert (called.failure is None) == (ends == "by itself")
    assert Traces.now().processes <= before.processes
    assert [one.pid for one in running_children() if one.pid not in before.processes] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, r"Missing required parameter 'executable' \(or 'command'\)"),
        ({"command": "echo 'open"}, "no closing quotation"),
        ({"command": "  "}, "no program in it"),
        ({"executable": ""}, "name is empty"),
        ({"executable": "echo\0"}, "zero byte"),
        ({"executable": "echo", "arguments": ["a\0b"]}, "argument 1 has a zero byte"),
        ({"executable": "echo", "environment": {"A=B": "1"}}, "can't be a variable"),
        ({"executable": "echo", "timeout_ms": 0}, "'timeout_ms'"),
    ],
)
def test_what_is_missing_or_wrong_is_told(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        execute("*", **arguments)
