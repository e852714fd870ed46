"""`llmspell tool …` at a terminal, with permissions and tools of others: what the cases of all commands leave out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.tools.permissions import SETTINGS
from tests.support.command_line import AtTerminal, Done, Running, llmspell
from tests.support.kernels import KernelProcess

SLOW = """
Tool.register{
  name = "team/slow", description = "Waits. Then it says so.", category = "system", security_level = "restricted",
  parameters = {{name = "seconds", type = "number", required = true, description = "how long"}},
  execute = function(p) print("called") Utils.sleep(p.seconds) return {slept = p.seconds} end,
}
print("ready")
Utils.sleep(600)
"""


@pytest.fixture
def slow(kernel: KernelProcess) -> Iterator[list[str]]:
    """The words that lead to a kernel on which another client's script has a tool `team/slow`."""
    with kernel.client() as client:
        script = _started(client)
        yield ["--connect", str(kernel.started["connection_file"])]
        script.cancel()


def _started(client: Client) -> Pending:
    pending = client.request(
        "execute_request", {"code": SLOW, "allow_stdin": False}, metadata={"llmspell": {"isolated": True}}
    )
    next(iter(pending))
    return pending


def test_a_tool_with_a_slash_in_its_name_is_one_like_others(slow: list[str]) -> None:
    names = llmspell(*slow, "tool", "list").out.splitlines()
    assert {"calculator", "team/slow"} <= set(names)
    assert names == sorted(names)
    assert "team/slow" in llmspell(*slow, "tool", "search", "waits").out.splitlines()
    told = llmspell(*slow, "tool", "info", "team/slow").out
    assert "Level:        restricted" in told
    assert "  seconds  number  how long (required)" in told
    called = llmspell(*slow, "tool", "invoke", "team/slow", "--params", '{"seconds": 0}')
    assert (called.status, json.loads(called.out)) == (0, {"slept": 0})
    untried = llmspell(*slow, "tool", "test", "team/slow")
    assert untried.status == 2
    assert untried.err.startswith("Error: tool 'team/slow' has no call that touches nothing")


@pytest.mark.parametrize(
    "words",
    [
        ("tool", "invoke", "team/slow", "--params", '{"seconds": 500}'),
        ("exec", "pcall(Tool.execute, 'team/slow', {seconds = 500})"),
        ("exec", "Tool.batch{{name = 'team/slow', params = {seconds = 500}}}"),
    ],
    ids=["invoke", "execute", "batch"],
)
def test_ctrl_c_cancels_a_call(words: tuple[str, ...], slow: list[str], kernel: KernelProcess) -> None:
    with kernel.client() as client:
        running = Running(*slow, *words)
        try:
            _until_called(client)
        finally:
            running.interrupt()
            done = running.done()
        assert (done.status, done.out, done.err) == (130, "", "Cancelled\n")
        assert _calls(client) == []


def test_a_call_that_takes_too_long_ends_with_its_own_status(slow: list[str]) -> None:
    words = ("tool", "invoke", "team/slow", "--params", '{"seconds": 500}', "--timeout", "0.5", "--json")
    done = llmspell(*slow, *words)
    assert (done.status, done.error["code"], done.out) == (5, "timeout", "")


def _calls(client: Client) -> list[str]:
    """The calls of tools that the kernel has not finished."""
    queue = client.request("kernel_request", {"action": "queue"}).result().content
    return [str(one["msg_id"]) for one in queue["requests"] if one["type"] == "tool_request"]


def _until_called(client: Client) -> None:
    deadline = time.monotonic() + 30
    while not _calls(client):
        assert time.monotonic() < deadline, "the tool is not called"


@pytest.fixture
def place(tmp_path: Path, home: Path) -> Path:
    (tmp_path / "call.json").write_text('{"input": "6*7"}')
    return tmp_path


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{expression}", "Invalid JSON: line 1 column 2: expected a string in double quotes"),
        ('{"input": "1",}', "Invalid JSON: line 1 column 15: expected a string in double quotes"),
        ('{"input" "1"}', "Invalid JSON: line 1 column 10: expected ':'"),
        ('{"input":\n 1 2}', "Invalid JSON: line 2 column 4: expected ','"),
        ("", "Invalid JSON: line 1 column 1: expected a value"),
        ('{"input": NaN}', "Invalid JSON: NaN is not a JSON value"),
        ('{"a": "1"} x', "Invalid JSON: line 1 column 12: there is more behind the value"),
        ("[" * 100_000, "Invalid JSON: nested too deeply"),
        ("[1]", "the parameters are no JSON object"),
        ("null", "the parameters are no JSON object"),
        ("@bad.json", "Invalid JSON in bad.json: line 1 column 1: expected a value"),
        ("@list.json", "the parameters in list.json are no JSON object"),
    ],
)
def test_parameters_that_are_no_object_are_told_before_a_kernel_starts(params: str, message: str, place: Path) -> None:
    (place / "bad.json").write_text("x")
    (place / "list.json").write_text("[]")
    done = llmspell("--connect", "nowhere:1", "tool", "invoke", "calculator", "--params", params)
    assert (done.status, done.err.splitlines()[0]) == (2, f"Error: {message}")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--params", "{input: 1+1}"), '--params \'{"name": "value"}\''),
        (("--params", "{input:", "1+1}"), '--params \'{"name": "value"}\''),
        (("input=1+1",), '--params \'{"name": "value"}\''),
        (("--allow-write", "out.txt"), "did you mean --allow-write=out.txt?"),
    ],
)
def test_parameters_that_a_shell_took_apart_get_a_hint(words: tuple[str, ...], hint: str, place: Path) -> None:
    done = llmspell("--connect", "nowhere:1", "tool", "invoke", "calculator", *words)
    assert done.status == 2
    assert f"Hint: {hint}" in done.err


def test_wrong_parameters_lead_to_their_description(place: Path) -> None:
    done = llmspell("--embedded", "tool", "invoke", "calculator", "--params", '{"inptu": "1"}')
    assert done.status == 2
    assert "Hint: llmspell tool info calculator shows the parameters" in done.err


def test_a_file_that_was_meant_is_named(place: Path) -> None:
    done = llmspell("tool", "invoke", "calculator", "--params", "call.json")
    assert done.err.endswith("Hint: --params @call.json reads the file\n")
    missing = llmspell("tool", "invoke", "calculator", "--params", "@nosuch.json")
    assert (missing.status, missing.err) == (3, "Error: file not found: nosuch.json\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("invoke", "calculater"), 3, "Tool 'calculater' not found\nHint: did you mean 'calculator'?"),
        (("info", "calculater"), 3, "Tool 'calculater' not found\nHint: did you mean 'calculator'?"),
        (("test", "nosuch"), 3, "Tool 'nosuch' not found\nHint: llmspell tool list shows all tools"),
        (("info", "graph-builder"), 3, "Tool 'graph-builder' not found (not part of this version)\nHint: "),
        (("invoke", "calculator"), 2, "Missing required parameter 'input' (or 'expression')"),
        (("invoke", "calculator", "--params", '{"operation": "fly"}'), 2, "Unknown operation: fly; there are "),
        (("invoke", "calculator", "--params", '{"input": "x"}'), 1, "x: "),
        (("list", "--category", "nosuch"), 2, "--category: must be 'filesystem'"),
        (("list", "--permissions", "--category", "web"), 2, "--permissions is about all tools"),
        (("list", "--source", "remote"), 2, "there is no source 'remote' of tools"),
        (("search", " "), 2, "there are no words to look for"),
        (("search",), 2, "missing argument 'WORD...'"),
        (("invoke", "calculator", "--timeout", "0"), 2, "invalid value for '--timeout'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_is_wrong_has_its_status_and_says_what_to_do(
    words: tuple[str, ...], status: int, message: str, target: list[str]
) -> None:
    done = llmspell(*target, "tool", *words)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"Error: {message}"), done.err


def test_the_sample_of_the_reference_is_what_is_printed(target: list[str]) -> None:
    done = llmspell(
        *target, "tool", "invoke", "calculator", "--params", '{"expression": "sqrt(16)"}', "--source", "local"
    )
    assert (done.status, done.out, done.err) == (0, "4\n", "")


def test_the_pretty_list_has_a_heading_and_a_total(target: list[str]) -> None:
    lines = llmspell(*target, "tool", "list", "--output", "pretty").out.splitlines()
    count = llmspell(*target, "tool", "list", "--json").document["count"]
    assert (lines[0], lines[-1]) == ("Available Tools:", f"Total: {count} tool{'' if count == 1 else 's'}")
    assert any("calculator" in line and "utility" in line and "safe" in line for line in lines)


def _permissions(*words: str) -> dict[str, dict[str, object]]:
    done: Done = llmspell(*words, "tool", "list", "--permissions", "--json")
    return {one["permission"]: one for one in done.document["permissions"]}


def test_permissions_are_those_of_the_settings_the_directory_and_the_command(place: Path, target: list[str]) -> None:
    (place / "work").mkdir()
    plain = _permissions(*target)
    assert str(place) in plain["read"]["names"]  # type: ignore[operator]
    assert plain["run"] == {
        "permission": "run",
        "names": [],
        "script_names": [],
        "flag": "--allow-run",
        "setting": SETTINGS["run"],
    }
    assert str(place) not in plain["write"]["script_names"]  # type: ignore[operator]
    words = ("--allow-write=work", "--allow-run=git", "--allow-env=PATH,HOME")
    done = llmspell(*target, "tool", "list", "--permissions", "--json", *words)
    granted = {one["permission"]: one for one in done.document["permissions"]}
    assert str(place / "work") in granted["write"]["names"]
    assert str(place / "work") in granted["write"]["script_names"]
    assert (granted["run"]["names"], granted["env"]["names"]) == (["git"], ["PATH", "HOME"])
    shown = llmspell(*target, "tool", "list", "--permissions", *words).out
    assert [line.split()[0] for line in shown.splitlines()[:6]] == ["KIND", "read", "write", "net", "run", "env"]
    assert "(tools.approval)" in shown


def test_a_terminal_that_is_narrow_gets_lines_that_fit(target: list[str]) -> None:
    for words in (("info", "calculator"), ("list", "-v"), ("list", "--permissions"), ("list", "--output", "pretty")):
        terminal = AtTerminal([*target, "tool", *words], columns=60)
        assert terminal.end() == 0
        # A path of the test's own can be longer than the terminal is wide.
        lines = [line for line in terminal.said.splitlines() if "/" not in line]
        assert [line for line in lines if len(line) > 60] == [], words
