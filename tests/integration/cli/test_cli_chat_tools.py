"""`llmspell chat --tool`: the model calls tools; people see a line for each call, and a pipe gets the answer alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import AtTerminal, Done, llmspell
from tests.support.kernels import KernelProcess

Run = Callable[..., Done]

CALL = 'call calculator {"input": "2 + 3"}'
WRONG = 'call calculator {"input": "1 / 0"}'


@pytest.fixture(params=["embedded", "connected"])
def target(home: Path, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The words for a mode."""
    if request.param == "embedded":
        yield ["--embedded"]
        return
    kernel = KernelProcess()
    yield ["--connect", str(kernel.started["connection_file"])]
    kernel.stop()


def test_a_pipe_gets_the_answer_alone(target: list[str]) -> None:
    done = llmspell(*target, "chat", "-m", "mock/a", "--tool", "Calculator_Tool", CALL)
    assert (done.status, done.out, done.err) == (0, "[mock/a] 5\n", "")


def test_a_pipe_gets_failures_on_standard_error(target: list[str]) -> None:
    for more in ((), ("--no-stream",)):
        done = llmspell(*target, "chat", "-m", "mock/a", "--tool", "calculator", WRONG, *more)
        assert (done.status, done.out) == (0, "[mock/a] Error: 1 / 0: division by zero\n")
        assert "calculator failed: 1 / 0: division by zero" in done.err


def test_the_default_model_answers_where_none_is_named(home: Path) -> None:
    (home / "config.toml").write_text(
        '[providers]\ndefault_provider = "candle"\n[providers.candle]\ndefault_model = "a@mock"\n'
    )
    done = llmspell("--embedded", "chat", "--tool", "calculator", CALL)
    assert (done.status, done.out, done.err) == (0, "[mock/a] 5\n", "")


def test_calls_have_the_permissions_of_the_command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.toml").write_text(
        '[tools]\napproval = "never"\n[tools.file_operations]\nallowed_paths = ["/nowhere"]\n'
    )
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note.txt").write_text("found")
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    call = f'call file-operations {{"operation": "read", "path": "{outside}/note.txt"}}'
    chat = ("--embedded", "chat", "-m", "mock/a", "--tool", "file-operations")
    refused = llmspell(*chat, call)
    assert "Path not allowed" in refused.err
    assert f"--allow-read={outside}/note.txt" in refused.err
    for allowed in (f"--allow-read={outside}", "--allow-read", "-A"):
        done = llmspell(*chat, allowed, call)
        assert (done.out, done.err) == ("[mock/a] found\n", "")


def test_a_pipe_is_told_that_no_person_could_be_asked(home: Path) -> None:
    call = 'call process-executor {"executable": "date"}'
    done = llmspell("--embedded", "chat", "-m", "mock/a", "--tool", "process-executor", "--allow-run=date", call)
    assert "process-executor failed" in done.err
    assert "no person could be asked" in done.err


def test_json_has_the_events_of_calls_and_what_came_of_them(target: list[str]) -> None:
    done = llmspell(*target, "chat", "-m", "mock/a", "--tool", "calculator", CALL, "--json")
    events = [json.loads(line) for line in done.out.splitlines()]
    phases = [event["tool"]["phase"] for event in events if "tool" in event]
    assert phases == ["started", "ended"]
    last = events[-1]
    assert [(call["name"], call["success"]) for call in last["tool_calls"]] == [("calculator", True)]
    assert [message["role"] for message in last["messages"]] == ["assistant", "tool", "assistant"]


def test_a_tool_that_there_is_not_is_told_before_the_model_is_asked(target: list[str]) -> None:
    done = llmspell(*target, "chat", "-m", "mock/a", "--tool", "calculatr", "hello")
    assert done.status == 3
    assert "Tool 'calculatr' not found" in done.err
    assert "did you mean 'calculator'?" in done.err
    done = llmspell(*target, "chat", "-m", "mock/a", "--mcp", "nowhere", "hello")
    assert done.status == 3
    assert "MCP server 'nowhere' has no tools" in done.err


def test_people_see_each_call(target: list[str]) -> None:
    shell = AtTerminal([*target, "chat", "-m", "mock/a", "--tool", "calculator", CALL])
    shell.wait_for('Calling calculator {"input": "2 + 3"}')
    shell.wait_for("[mock/a] 5")
    assert shell.end() == 0


def test_a_conversation_goes_on_with_what_tools_gave(target: list[str]) -> None:
    shell = AtTerminal([*target, "chat", "mock/a", "--tool", "calculator"])
    shell.wait_for("> ")
    shell.type(f"{WRONG}\r")
    shell.wait_for("calculator failed")
    shell.wait_for("[mock/a] Error: 1 / 0: division by zero")
    for typed, seen in (
        ("/verbose on", "What calls of tools give is shown"),
        (CALL, "calculator gave"),
        ("/tool", "The model may call calculator"),
        ("/tool off", "The model may call no tools"),
    ):
        shell.type(f"{typed}\r")
        shell.wait_for(seen)
    shell.type("/exit\r")
    assert shell.end() == 0


def test_a_script_s_agents_show_their_calls_where_people_watch(target: list[str], tmp_path: Path) -> None:
    script = tmp_path / "agent.lua"
    script.write_text(
        'print(Agent.builder():model("mock/a"):tool("calculator"):build():execute([[' + CALL + "]]).text)"
    )
    shell = AtTerminal([*target, "run", str(script)])
    shell.wait_for('Calling calculator {"input": "2 + 3"}')
    shell.wait_for("[mock/a] 5")
    assert shell.end() == 0
    piped = llmspell(*target, "run", str(script))
    assert (piped.out, piped.err) == ("[mock/a] 5\n", "")
