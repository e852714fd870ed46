"""`llmspell workflow`: files that are run and watched, at terminals and in pipes, and workflows that are resumed."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import Timeout
from tests.support.command_line import AtTerminal, Running, llmspell
from tests.support.kernels import KernelProcess
from tests.support.rendered import rendered
from tests.support.web_server import Answering, WebServer, web_server

FLOW = {
    "type": "sequential",
    "name": "flow",
    "steps": [
        {"name": "add", "tool": "calculator", "input": {"input": "{{n}} + 3"}},
        {
            "name": "both",
            "type": "parallel",
            "branches": [
                {"name": "left", "steps": [{"name": "x", "agent": {"type": "basic"}, "input": "1"}]},
                {"name": "right", "steps": [{"name": "y", "agent": {"type": "basic"}, "input": "2"}]},
            ],
        },
        {
            "name": "rounds",
            "type": "loop",
            "items": [1, 2, 3, 4, 5],
            "body": [{"name": "m", "agent": {"type": "basic"}, "input": "{{loop_value}}"}],
        },
        {"name": "last", "tool": "calculator", "input": {"input": "{{add.output}} * 2"}},
    ],
}
"""Branches, rounds and values of other steps."""


@pytest.fixture
def place(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the flow's file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))
    return tmp_path


@pytest.fixture(params=["embedded", "connected"])
def words(request: pytest.FixtureRequest, place: Path) -> Iterator[list[str]]:
    """The words before the command, in both modes."""
    if request.param == "embedded":
        yield []
        return
    kernel: KernelProcess = request.getfixturevalue("kernel")
    yield ["--connect", str(kernel.started["connection_file"])]


def test_a_file_is_run_with_an_input_and_shows_its_output(words: list[str], place: Path) -> None:
    (place / "input.json").write_text('{"n": 4}')
    for given, out in (('{"n": 2}', "10\n"), ("@input.json", "14\n")):
        done = llmspell(*words, "workflow", "run", "flow.json", "--input", given)
        assert (done.status, done.out, done.err) == (0, out, "")
    done = llmspell(*words, "workflow", "run", "flow.json", "--input", "-", "--json", stdin='{"n": 2}')
    document = done.document
    assert document["result"]["outputs"]["both"] == {"left": "1", "right": "2"}
    assert document["workflow"]["name"] == "flow"
    done = llmspell(*words, "workflow", "run", "-", "--input", "just a text", stdin='{"type": "sequential", "steps": ['
                    '{"name": "say", "agent": {"type": "basic"}}]}')  # fmt: skip
    assert done.out == "just a text\n"


def test_a_pipe_gets_plain_lines_of_the_steps(words: list[str], place: Path) -> None:
    done = llmspell(*words, "workflow", "run", "flow.json", "--input", '{"n": 2}', "--watch")
    assert done.out == "10\n"
    lines = [line.split() for line in done.err.splitlines()]
    assert lines[0] == ["started", "workflow", "flow"]
    assert lines[1] == ["started", "add"]
    assert ["started", "both", ">", "left", ">", "x"] in lines
    assert lines[-1][:3] == ["done", "workflow", "flow"]
    assert sum(line[:5] == ["started", "rounds", ">", "round", "3"] for line in lines) == 1
    assert "\x1b" not in done.err


def test_programs_get_events_and_the_result_last(words: list[str], place: Path) -> None:
    done = llmspell(*words, "workflow", "run", "flow.json", "--input", '{"n": 2}', "--watch", "--json")
    events = done.events
    assert [one["event"] for one in events[:3]] == ["workflow_started", "step_started", "step_completed"]
    assert events[-1]["event"] == "result"
    assert events[-1]["result"]["output"] == 10


@pytest.mark.parametrize("columns", [60, 100])
def test_a_terminal_shows_a_tree_that_stays(place: Path, columns: int) -> None:
    terminal = AtTerminal(["workflow", "run", "flow.json", "--input", '{"n": 2}', "--watch"], columns=columns)
    assert terminal.end() == 0
    lines = rendered(terminal.text.replace("\r\n", "\n").replace("\n", "\r\n"), columns)
    tree = [line for line in lines if line]
    assert tree[0].startswith("✓ flow  sequential")
    names = [line.replace("│", " ").replace("├──", "   ").replace("└──", "   ").split()[1] for line in tree[1:-1]]
    assert names[:7] == ["add", "both", "left", "x", "right", "y", "rounds"]
    assert any("2 rounds before" in line for line in tree)
    assert tree[-1] == "10"
    assert all(len(line) <= columns for line in lines)


def test_a_failure_says_where_and_ends_with_status_1(words: list[str], place: Path) -> None:
    flow = {
        "type": "sequential",
        "name": "f",
        "steps": [{"name": "bad", "tool": "calculator", "input": {"input": "1/0"}}],
    }
    (place / "bad.json").write_text(json.dumps(flow))
    done = llmspell(*words, "workflow", "run", "bad.json")
    assert (done.status, done.out) == (1, "")
    assert done.err == "Error: Sequential workflow 'f' failed at step 'bad': 1/0: division by zero\n"
    error = llmspell(*words, "workflow", "run", "bad.json", "--json").error
    assert error["code"] == "workflow_failed"
    assert error["details"]["failed_step"] == "bad"
    assert error["details"]["result"]["step_results"]["bad"]["success"] is False


def test_a_failed_branch_says_which_step_failed_and_the_details_have_all(words: list[str], place: Path) -> None:
    branches = [
        {"name": "left", "steps": [{"name": "x", "tool": "calculator", "input": {"input": "1/0"}}]},
        {"name": "right", "steps": [{"name": "y", "tool": "calculator", "input": {"input": "("}}]},
        {"name": "good", "steps": [{"name": "z", "tool": "calculator", "input": {"input": "1"}}]},
    ]
    flow = {"type": "parallel", "name": "p", "fail_fast": False, "branches": branches}
    (place / "p.json").write_text(json.dumps(flow))
    done = llmspell(*words, "workflow", "run", "p.json")
    said = "Parallel workflow 'p' failed at step 'x' of branch 'left': 1/0: division by zero (also failed: 'y')"
    assert (done.status, done.err) == (1, f"Error: {said}\n")
    details = llmspell(*words, "workflow", "run", "p.json", "--json").error["details"]
    assert details["failed_step"] == details["result"]["failed_step"] == "x"
    assert [(one["step"], one["branch"]) for one in details["failed_steps"]] == [("x", "left"), ("y", "right")]
    assert details["failed_steps"][0]["error"]["message"] == "1/0: division by zero"


WRONG = {
    "nosuch.json": (3, "file not found: nosuch.json"),
    "list.json": (2, "list.json holds no JSON object"),
    "broken.json": (2, "broken.json: line 1 column 2"),
    "typeless.json": (2, "Workflow type not specified"),
    "unknown.json": (2, "Unknown step type: 'x'"),
    "function.json": (1, "functions can be given by scripts only"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_workflow_is_told_in_words(place: Path, name: str) -> None:
    (place / "list.json").write_text("[1]")
    (place / "broken.json").write_text("{")
    (place / "typeless.json").write_text("{}")
    (place / "unknown.json").write_text('{"type": "sequential", "steps": [{"name": "a", "type": "x"}]}')
    (place / "function.json").write_text('{"type": "sequential", "steps": [{"name": "a", "execute": {"$fn": 1}}]}')
    done = llmspell("workflow", "run", name)
    status, text = WRONG[name]
    assert done.status == status
    assert done.err.startswith("Error: ")
    assert text in done.err


# What was cut


class Slow:
    """A page that is answered when the test lets it."""

    def __init__(self, web: WebServer) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.url = web.url("/slow")
        web.pages["/slow"] = self._answer

    def _answer(self, request: Answering) -> None:
        self.begun.set()
        self.open.wait(60)
        request.answer("answered")


@pytest.fixture
def slow() -> Iterator[Slow]:
    with web_server() as web:
        page = Slow(web)
        yield page
        page.open.set()


def cut_flow(url: str) -> dict[str, Any]:
    """Two steps; the second waits for the page."""
    return {
        "type": "sequential",
        "name": "cut",
        "checkpoint": True,
        "steps": [
            {"name": "first", "agent": {"type": "basic"}, "input": "one"},
            {"name": "wait", "tool": "http-requester", "input": {"input": url}},
            {"name": "say", "agent": {"type": "basic"}, "input": "{{first.output}} {{wait.output}}"},
        ],
    }


def test_a_command_that_is_killed_leaves_a_workflow_that_another_one_resumes(place: Path, slow: Slow) -> None:
    (place / "cut.json").write_text(json.dumps(cut_flow(slow.url)))
    running = Running("workflow", "run", "cut.json", "--allow-net=127.0.0.1")
    assert slow.begun.wait(60)
    os.killpg(running.process.pid, signal.SIGKILL)
    running.done()
    slow.open.set()
    [run] = llmspell("workflow", "list", "--json").document["runs"]
    assert (run["name"], run["state"], run["finished_steps"]) == ("cut", "cut", 1)
    id = run["execution_id"]
    assert id in llmspell("workflow", "list").out
    done = llmspell("workflow", "resume", id, "--watch", "--allow-net=127.0.0.1")
    assert (done.status, done.out) == (0, "one answered\n")
    assert "first" not in done.err
    assert llmspell("workflow", "list").out == "No workflows run, and none were cut\n"
    assert llmspell("workflow", "resume", id).status == 3


def test_a_workflow_that_lacks_a_permission_goes_on_with_it(words: list[str], place: Path) -> None:
    steps = [
        {"name": "sum", "tool": "calculator", "input": {"input": "1 + 1"}},
        {"name": "say", "tool": "process-executor", "input": {"command": "echo {{step:sum:output}}"}},
    ]
    flow = {"name": "say", "type": "sequential", "checkpoint": True, "steps": steps}
    (place / "say.json").write_text(json.dumps(flow))
    failed = llmspell(*words, "workflow", "run", "say.json")
    assert (failed.status, "needs the permission" in failed.err) == (1, True), failed.err
    assert "Hint: allow it with --allow-run, or for every call in the setting " in failed.err
    [cut] = llmspell(*words, "workflow", "list", "--json").document["runs"]
    assert f"; llmspell workflow resume {cut['execution_id']} goes on after the last finished step" in failed.err
    assert (cut["state"], cut["finished_steps"]) == ("cut", 1)
    again = llmspell(*words, "workflow", "resume", cut["execution_id"])
    assert again.status == 1
    done = llmspell(*words, "workflow", "resume", cut["execution_id"], "--allow-run=echo")
    assert (done.status, done.out) == (0, "2\n"), done.err
    assert llmspell(*words, "workflow", "list", "--json").document["runs"] == []


def test_ctrl_c_ends_a_workflow_and_says_how_it_goes_on(words: list[str], place: Path, slow: Slow) -> None:
    (place / "cut.json").write_text(json.dumps(cut_flow(slow.url)))
    running = Running(*words, "workflow", "run", "cut.json", "--allow-net=127.0.0.1", "--watch")
    assert slow.begun.wait(60)
    running.interrupt()
    done = running.done()
    assert done.status == 130
    hint = next(line for line in done.err.splitlines() if line.startswith("Hint: "))
    assert hint.startswith("Hint: llmspell workflow resume ")
    id = hint.split()[4]
    slow.open.set()
    assert llmspell(*words, "workflow", "resume", id, "--allow-net=127.0.0.1").out == "one answered\n"


def test_another_command_cancels_and_discards_what_a_kernel_runs(
    kernel: KernelProcess, place: Path, slow: Slow
) -> None:
    at = ["--connect", str(kernel.started["connection_file"])]
    (place / "cut.json").write_text(json.dumps(cut_flow(slow.url)))
    running = Running(*at, "workflow", "run", "cut.json", "--allow-net=127.0.0.1")
    assert slow.begun.wait(60)
    [run] = llmspell(*at, "workflow", "list", "--json").document["runs"]
    assert run["state"] == "running"
    cancelled = llmspell(*at, "workflow", "cancel", run["execution_id"])
    assert cancelled.out == f"✓ Cancelled workflow 'cut' ({run['execution_id']})\n"
    hint = f"Hint: llmspell workflow resume {run['execution_id']} goes on after the last finished step\n"
    assert cancelled.err == hint
    done = running.done()
    assert (done.status, done.err.endswith(hint)) == (130, True)
    discarded = llmspell(*at, "workflow", "discard", run["execution_id"][:8])
    assert discarded.out == f"✓ Discarded workflow 'cut' ({run['execution_id']})\n"
    assert llmspell(*at, "workflow", "list").out == "No workflows run, and none were cut\n"


def hint_of(err: str) -> str:
    """The id that a cut workflow's message says it goes on by."""
    line = next(line for line in err.splitlines() if "llmspell workflow resume " in line)
    return line.split("llmspell workflow resume ")[1].split()[0]


@pytest.mark.parametrize("ending", ["timeout", "signal"])
def test_a_workflow_that_is_cut_from_outside_says_how_it_goes_on(
    words: list[str], place: Path, slow: Slow, ending: str
) -> None:
    (place / "cut.json").write_text(json.dumps(cut_flow(slow.url)))
    more = ["--timeout", "6"] if ending == "timeout" else []
    running = Running(*words, "workflow", "run", "cut.json", "--allow-net=127.0.0.1", *more)
    if ending == "signal":
        assert slow.begun.wait(60)
        running.process.send_signal(signal.SIGTERM)
    done = running.done()
    assert done.status == (Timeout.exit_status if ending == "timeout" else 128 + signal.SIGTERM)
    id = hint_of(done.err)
    slow.open.set()
    # The beginning of an id is enough.
    again = llmspell(*words, "workflow", "resume", id[:6], "--allow-net=127.0.0.1")
    assert (again.status, again.out) == (0, "one answered\n"), again.err


def test_json_says_on_stderr_how_a_terminated_workflow_goes_on(place: Path, slow: Slow) -> None:
    (place / "cut.json").write_text(json.dumps(cut_flow(slow.url)))
    running = Running("workflow", "run", "cut.json", "--allow-net=127.0.0.1", "--json")
    assert slow.begun.wait(60)
    running.process.send_signal(signal.SIGTERM)
    note = json.loads(running.done().err.splitlines()[-1])
    assert note["event"] == "note"
    assert note["execution_id"] == hint_of(note["message"])
