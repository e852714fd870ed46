"""Workflows while they run: branches that overlap, functions that take turns, cancels, and kernels that are killed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.errors import Busy, Cancelled, InvalidRequest, LlmspellError, NotFound, ScriptError, Timeout
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernels import KernelProcess
from tests.support.model_server import Act, Asked, ModelServer, said
from tests.support.web_server import Answering, WebServer, web_server

WITHIN_S = 60


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A server at 127.0.0.1."""
    with web_server() as server:
        yield server


def get(name: str, url: str, **more: Any) -> dict[str, Any]:
    """A step that gets a page."""
    return {"name": name, "tool": "http-requester", "input": {"input": url}, **more}


def metadata_of(**options: Any) -> dict[str, Any]:
    allow = {"net": ["127.0.0.1"], "write": ["*"], "read": ["*"]}
    return {METADATA_KEY: {"allow": allow, **options}}


def execute(client: Client, definition: dict[str, Any], **content: Any) -> Pending:
    """A workflow that runs."""
    asked = {"action": "execute", "definition": definition, **content}
    return client.request("workflow_request", asked, metadata=metadata_of())


def script(client: Client, code: str) -> Pending:
    """A script that runs."""
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    metadata = metadata_of(isolated=True, name="test.lua")
    return client.request("execute_request", content, metadata=metadata)


def asked(client: Client, action: str, **content: Any) -> dict[str, Any]:
    return client.request("workflow_request", {"action": action, **content}).result(WITHIN_S).content


class Gate:
    """A page that is answered when the gate opens, and that tells when it was asked."""

    def __init__(self, web: WebServer, path: str) -> None:
        self.url = web.url(path)
        self.begun = threading.Event()
        self.open = threading.Event()
        web.pages[path] = self._answer

    def _answer(self, request: Answering) -> None:
        self.begun.set()
        self.open.wait(WITHIN_S)
        request.answer("answered")


def test_branches_run_at_the_same_time(kernel: KernelProcess, web: WebServer) -> None:
    both = threading.Barrier(2, timeout=WITHIN_S)

    def meet(request: Answering) -> None:
        both.wait()  # Each waits for the other: one after the other they would never be answered.
        request.answer("met")

    web.pages["/a"] = web.pages["/b"] = meet
    with kernel.client() as client:
        definition = {"type": "parallel", "name": "w", "steps": [get("a", web.url("/a")), get("b", web.url("/b"))]}
        result = execute(client, definition).result(WITHIN_S).content["result"]
    assert result["success"]
    assert result["outputs"] == {"a": "met", "b": "met"}


def test_no_more_branches_run_than_the_workflow_allows(kernel: KernelProcess, web: WebServer) -> None:
    web.page("/x", "x")
    steps = [get(name, web.url("/x")) for name in "abcd"]
    definition = {"type": "parallel", "name": "w", "steps": steps, "max_concurrency": 2}
    with kernel.client() as client:
        running, most = 0, 0
        for event in execute(client, definition):
            running += {"branch_started": 1, "branch_completed": -1}.get(event.content["event"], 0)
            most = max(most, running)
    assert most == 2


def test_functions_of_a_script_take_turns_and_its_sub_workflows_overlap(kernel: KernelProcess, web: WebServer) -> None:
    both = threading.Barrier(2, timeout=WITHIN_S)

    def meet(request: Answering) -> None:
        both.wait()
        request.answer("met")

    web.pages["/a"] = web.pages["/b"] = meet
    code = f"""
        local seen, inner = {{}}, {{}}
        local function turn(name)
          return {{name = name, type = 'custom', execute = function()
            seen[#seen + 1] = name .. ' in' Utils.sleep(0.01) seen[#seen + 1] = name .. ' out' end}}
        end
        Workflow.parallel{{name = 'turns', steps = {{turn('a'), turn('b'), turn('c')}}}}:execute()
        for _, name in ipairs{{'a', 'b'}} do
          inner[#inner + 1] = {{name = 'in_' .. name, workflow = Workflow.sequential{{name = name, steps = {{
            {{name = 'get', tool = 'http-requester', input = {{input = '{web.url("/")}' .. name}}}}}}}}}}
        end
        return {{seen, Workflow.parallel{{name = 'w', steps = inner}}:execute().outputs}}
    """
    with kernel.client() as client:
        seen, outputs = script(client, code).result(WITHIN_S).content["result"]
    assert [one.split()[0] for one in seen[::2]] == [one.split()[0] for one in seen[1::2]]
    assert [one.split()[1] for one in seen] == ["in", "out"] * 3
    assert outputs == {"in_a": "met", "in_b": "met"}


def test_one_request_ends_a_workflow_and_all_that_it_does(kernel: KernelProcess, web: WebServer) -> None:
    gate, second = Gate(web, "/slow"), Gate(web, "/second")
    code = f"""
        undone = false
        local inner = Workflow.sequential{{name = 'inner', steps = {{
          {{name = 'get', tool = 'http-requester', input = {{input = '{second.url}'}}}}}}}}
        Workflow.parallel{{name = 'long', steps = {{
          {{name = 'get', tool = 'http-requester', input = {{input = '{gate.url}'}}}},
          {{name = 'inner', workflow = inner}},
          {{name = 'fn', type = 'custom', execute = function() Utils.sleep(60) end,
            compensate = function() print('compensated') end}}}}}}:execute()
    """
    with kernel.client() as client, kernel.client() as other:
        pending = script(client, code)
        assert gate.begun.wait(WITHIN_S)
        assert second.begun.wait(WITHIN_S)
        [run] = asked(other, "list")["runs"]
        assert (run["name"], run["type"], run["state"]) == ("long", "parallel", "running")
        cancelled = asked(other, "cancel", workflow=run["execution_id"])
        assert [one["execution_id"] for one in cancelled["cancelled"]] == [run["execution_id"]]
        with pytest.raises(ScriptError, match="cancelled: the workflow was cancelled"):
            pending.result(WITHIN_S)
        assert asked(other, "list")["runs"] == []
        status = other.request("kernel_request", {"action": "queue"}).result(WITHIN_S).content
        assert [one["type"] for one in status["requests"] if one["type"] != "kernel_request"] == []
        with pytest.raises(NotFound, match="no workflow 'long' is running"):
            asked(other, "cancel", workflow="long")
    gate.open.set()
    second.open.set()


def test_models_of_agents_overlap(home: Path) -> None:
    both = threading.Barrier(2, timeout=WITHIN_S)

    def meet(asked: Asked) -> Act:
        both.wait()
        return said("met")

    with ModelServer(said("x"), models=("m",)) as server:
        server.answers(meet)
        path = home / "box.toml"
        table = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\napi_key = "k"\n'
        path.write_text(table)
        kernel = KernelProcess(["--config", str(path)], env={"LLMSPELL_HOME": str(home)})
        with kernel.client() as client:
            steps = [{"name": name, "agent": {"model": "box/m"}, "input": "hi"} for name in ("a", "b")]
            result = execute(client, {"type": "parallel", "name": "w", "steps": steps}).result(WITHIN_S)
            assert result.content["result"]["outputs"] == {"a": "met", "b": "met"}
        kernel.stop()


def test_a_cancel_compensates_nothing(kernel: KernelProcess, web: WebServer) -> None:
    gate = Gate(web, "/slow")
    code = f"""
        Workflow.sequential{{name = 'undoable', steps = {{
          {{name = 'done', type = 'custom', execute = function() print('did') end,
            compensate = function() print('undid') end}},
          {{name = 'get', tool = 'http-requester', input = {{input = '{gate.url}'}}}}}}}}:execute()
    """
    with kernel.client() as client, kernel.client() as other:
        pending = script(client, code)
        assert gate.begun.wait(WITHIN_S)
        asked(other, "cancel", workflow="undoable")
        printed = [event.content["text"] for event in pending if event.content.get("stream") == "stdout"]
        assert "".join(printed) == "did\n"
    gate.open.set()


def test_a_step_that_fails_ends_the_others_and_a_limit_ends_all(kernel: KernelProcess, web: WebServer) -> None:
    gate = Gate(web, "/slow")

    def fail(request: Answering) -> None:
        gate.begun.wait(WITHIN_S)
        request.answer("no", 500)

    web.pages["/fails"] = fail
    failing = {"name": "bad", "tool": "calculator", "input": {"input": "1 / 0"}}
    after = {"name": "after", "type": "sequential", "steps": [get("wait", web.url("/fails")), failing]}
    with kernel.client() as client:
        definition = {"type": "parallel", "name": "w", "steps": [get("slow", gate.url), after]}
        pending = execute(client, definition)
        events = [event.content for event in pending]
        result = pending.result(WITHIN_S).content["result"]
        assert result["failed_step"] == "after"
        assert result["metadata"]["extra"]["stopped_early"]
        assert ("step_cancelled", "slow") in [(one["event"], one.get("step")) for one in events]
        definition = {"type": "sequential", "name": "w", "steps": [get("slow", gate.url)], "timeout_ms": 300}
        result = execute(client, definition).result(WITHIN_S).content["result"]
        assert result["error"] == {"message": "Workflow 'w' timed out after 0.3s", "code": "timeout"}
    gate.open.set()


def test_clients_see_their_own_workflows_and_runs_of_their_key(kernel: KernelProcess) -> None:
    definition = {"type": "sequential", "name": "mine", "steps": [{"tool": "calculator", "input": {"input": "1"}}]}
    with kernel.client() as client, kernel.client() as other:
        made = asked(client, "create", definition=definition)["workflow"]
        assert (made["name"], made["step_count"]) == ("mine", 1)
        assert asked(client, "info", workflow="mine")["workflow"]["definition"] == definition
        assert asked(other, "list")["workflows"] == []
        with pytest.raises(NotFound, match="Workflow 'mine' not found"):
            asked(other, "execute", workflow="mine")
        asked(client, "share", workflow="mine", values={"a": 1, "b": 2})
        assert asked(client, "share", workflow="mine", values={"a": None})["shared"] == {"b": 2}
        asked(client, "delete", workflow=made["id"])
        with pytest.raises(NotFound):
            asked(client, "info", workflow="mine")
        with pytest.raises(InvalidRequest, match="a workflow or a definition"):
            asked(client, "execute")


# Killed kernels


def append(name: str, file: Path, text: str) -> dict[str, Any]:
    """A step that leaves a trace each time that it runs."""
    given = {"operation": "append", "path": str(file), "input": text}
    return {"name": name, "tool": "file-operations", "input": given}


def killed_at(home: Path, gate: Gate, start: Any) -> None:
    """Kills a kernel with SIGKILL when what `start` has begun waits at the gate."""
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)})
    client = kernel.client()
    start(client)
    assert gate.begun.wait(WITHIN_S)
    kernel.signal(signal.SIGKILL)
    kernel.wait()
    client.close()
    gate.open.set()


def test_a_workflow_that_was_cut_by_kill_9_goes_on_after_its_last_finished_step(
    home: Path, web: WebServer, tmp_path: Path
) -> None:
    gate, trace = Gate(web, "/slow"), tmp_path / "trace"
    web.page("/in", "3")
    definition = {
        "type": "sequential",
        "name": "long",
        "checkpoint": True,
        "steps": [
            append("first", trace, "{{input.word}} "),
            {
                "name": "rounds",
                "type": "loop",
                "items": ["x", "y", "z"],
                "initial_state": {"n": 0},
                "state_update": "state.n = state.n + 1",
                "body": [
                    append("mark", trace, "{{loop:current_item}}{{loop:current_index}} "),
                    {
                        "name": "choose",
                        "type": "conditional",
                        "condition": "state.n == 1",
                        "then_branch": [get("wait", gate.url)],
                    },
                ],
            },
            append("last", trace, "{{step:first:success}} {{step:rounds:success}}"),
        ],
    }
    killed_at(home, gate, lambda client: execute(client, definition, input={"word": "one"}))
    assert trace.read_text() == "one x0 y1 "
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)})
    with kernel.client() as client:
        [run] = asked(client, "list")["runs"]
        assert (run["name"], run["state"], run["needs_script"]) == ("long", "cut", False)
        content = {"action": "resume", "execution_id": run["execution_id"]}
        reply = client.request("workflow_request", content, metadata=metadata_of()).result(WITHIN_S).content
        result = reply["result"]
        assert result["success"], result
        assert trace.read_text() == "one x0 y1 z2 true true"
        assert result["step_results"]["rounds"]["success"]
        assert reply["execution_id"] == run["execution_id"]
        assert asked(client, "list")["runs"] == []
        with pytest.raises(NotFound, match="can be resumed"):
            asked(client, "resume", execution_id=run["execution_id"])
    kernel.stop()


def test_branches_that_had_finished_do_not_run_again(home: Path, web: WebServer, tmp_path: Path) -> None:
    gate, trace = Gate(web, "/slow"), tmp_path / "trace"
    done = threading.Event()

    def told(request: Answering) -> None:
        done.set()
        request.answer("told")

    web.pages["/done"] = told
    steps = [append("write", trace, "a"), get("told", web.url("/done")), get("wait", gate.url)]
    definition = {
        "type": "parallel",
        "name": "p",
        "checkpoint": True,
        "branches": [{"name": "one", "steps": steps}, {"name": "two", "steps": [append("other", trace, "b")]}],
    }
    killed_at(home, gate, lambda client: execute(client, definition))
    assert sorted(trace.read_text()) == ["a", "b"]
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)})
    with kernel.client() as client:
        [run] = asked(client, "list")["runs"]
        content = {"action": "resume", "execution_id": run["execution_id"]}
        pending = client.request("workflow_request", content, metadata=metadata_of())
        started = [event.content["step"] for event in pending if event.content["event"] == "step_started"]
        result = pending.result(WITHIN_S).content["result"]
        assert started == ["wait"]
        assert [one["name"] for one in result["branches"]] == ["one", "two"]
        assert result["outputs"]["told"] == "told"
    assert sorted(trace.read_text()) == ["a", "b"]
    kernel.stop()


FUNCTIONS = """
    local function built(word)
      local w = Workflow.sequential{{name = 'f', checkpoint = true, steps = {{
        {{name = 'a', type = 'custom', execute = function(ctx) ctx.shared.n = 1 print('ran a') return word end}},
        {{name = 'wait', tool = 'http-requester', input = {{input = '{url}'}}}},
        {{name = 'b', type = 'custom', execute = function(ctx) return ctx.steps.a.output .. ctx.shared.n end}}}}}}
      return w
    end
"""


def test_a_workflow_with_functions_is_resumed_by_its_script(home: Path, web: WebServer) -> None:
    gate = Gate(web, "/slow")
    code = FUNCTIONS.format(url=gate.url)
    killed_at(home, gate, lambda client: script(client, f"{code} built('first'):execute()"))
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(home)})
    with kernel.client() as client:
        [run] = asked(client, "list")["runs"]
        id = run["execution_id"]
        assert run["needs_script"]
        with pytest.raises(InvalidRequest, match="only its script can bring again"):
            asked(client, "resume", execution_id=id)
        other = f"return Workflow.resume('{id}', Workflow.sequential{{name = 'f', checkpoint = true, steps = {{}}}})"
        with pytest.raises(ScriptError, match="this is not the workflow 'f' that was cut"):
            script(client, other).result(WITHIN_S)
        reply = script(client, f"{code} return Workflow.resume('{id}', built('second')).output").result(WITHIN_S)
        assert reply.content["result"] == "first1"
        assert "ran a" not in reply.content.get("output", "")
    kernel.stop()


def test_a_cancelled_workflow_can_be_resumed_or_discarded_and_a_running_one_can_not(
    kernel: KernelProcess, web: WebServer
) -> None:
    gate = Gate(web, "/slow")
    definition = {"type": "sequential", "name": "c", "checkpoint": True, "steps": [get("wait", gate.url)]}
    with kernel.client() as client, kernel.client() as other:
        pending = execute(client, definition)
        assert gate.begun.wait(WITHIN_S)
        [run] = asked(other, "list")["runs"]
        id = run["execution_id"]
        with pytest.raises(Busy, match="runs already"):
            asked(other, "resume", execution_id=id)
        asked(other, "cancel", workflow=id)
        with pytest.raises(LlmspellError, match="cancelled"):
            pending.result(WITHIN_S)
        gate.open.set()
        assert asked(other, "list")["runs"][0]["state"] == "cut"
        assert asked(other, "discard", execution_id=id)["run"]["name"] == "c"
        assert asked(other, "list")["runs"] == []


REMOVED_INSIDE = {
    "by the inner of two executions": """
        local depth, w = 0, nil
        w = Workflow.sequential{name = 'w', steps = {
          {name = 'first', type = 'custom', execute = function()
            depth = depth + 1
            if depth == 1 then inner = w:execute() else Workflow.remove(w.id) end
          end},
          {name = 'second', type = 'custom', execute = function() return 'second' end}}}
        return {w:execute().output, inner.output}
    """,
    "while it runs as a step of another": """
        local inner
        inner = Workflow.sequential{name = 'inner', steps = {
          {name = 'first', type = 'custom', execute = function() Workflow.remove(inner.id) end},
          {name = 'second', type = 'custom', execute = function() return 'second' end}}}
        local steps = {{name = 'in', workflow = 'inner'}}
        local w = Workflow.sequential{name = 'w', steps = steps}
        return {w:execute().output, w:execute().error.code}
    """,
}


@pytest.mark.parametrize(
    ("how", "result"), list(zip(REMOVED_INSIDE, (["second"] * 2, ["second", "not_found"]), strict=True))
)
def test_functions_of_a_workflow_that_is_removed_stay_as_long_as_any_execution_has_it(
    kernel: KernelProcess, how: str, result: list[str]
) -> None:
    with kernel.client() as client:
        assert script(client, REMOVED_INSIDE[how]).result(WITHIN_S).content["result"] == result


ROUNDS = 1_000_000
WAITS_FOR_NOTHING = {
    "type": "loop",
    "name": "busy",
    "range": [1, ROUNDS],
    "max_iterations": ROUNDS,
    "body": [
        {
            "name": "in",
            "type": "loop",
            "range": [1, ROUNDS],
            "max_iterations": ROUNDS,
            "body": [{"name": "a", "tool": "calculator", "condition": {"type": "never"}}],
        }
    ],
}


def run_of(client: Client, name: str) -> dict[str, Any]:
    """The execution of this name, as soon as there is one."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        found: list[dict[str, Any]] = [one for one in asked(client, "list")["runs"] if one["name"] == name]
        if found:
            return found[0]
    raise AssertionError(f"no execution of '{name}' has begun")


def test_others_are_answered_while_a_workflow_waits_for_nothing_and_a_cancel_ends_it(kernel: KernelProcess) -> None:
    with kernel.client() as client, kernel.client() as other:
        pending = execute(client, WAITS_FOR_NOTHING, progress=False)
        run = run_of(other, "busy")
        status = other.request("kernel_request", {"action": "status"}).result(WITHIN_S).content
        assert status["status"] == "ok"
        assert run_of(other, "busy") == run
        asked(other, "cancel", workflow="busy")
        with pytest.raises(Cancelled, match="the workflow was cancelled"):
            pending.result(WITHIN_S)


def test_limits_of_time_end_a_workflow_that_waits_for_nothing(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        limited = execute(client, {**WAITS_FOR_NOTHING, "timeout_ms": 500}, progress=False)
        result = limited.result(WITHIN_S).content["result"]
        assert result["error"] == {"message": "Workflow 'busy' timed out after 0.5s", "code": "timeout"}
        content = {"action": "execute", "definition": WAITS_FOR_NOTHING, "progress": False}
        with pytest.raises(Timeout):
            client.request("workflow_request", content, metadata=metadata_of(timeout_s=0.5)).result(WITHIN_S)


def test_a_kernel_ends_while_a_workflow_waits_for_nothing(home: Path) -> None:
    path = home / "short.toml"
    path.write_text("[kernel]\ndrain_timeout_seconds = 1\n")
    kernel = KernelProcess(["--config", str(path)], env={"LLMSPELL_HOME": str(home)})
    with kernel.client() as client, kernel.client() as other:
        execute(client, WAITS_FOR_NOTHING, progress=False)
        run_of(other, "busy")
        kernel.signal(signal.SIGTERM)
        kernel.wait(WITHIN_S)
