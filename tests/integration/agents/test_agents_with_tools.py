"""Agents of a running kernel that call its tools: the mock model calls what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psutil
import pytest

from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.errors import Cancelled, ToolNotFound
from tests.support.kernels import KernelProcess


def ask(client: Client, action: str, **content: object) -> dict[str, Any]:
    """The content of an agent_reply."""
    return client.request("agent_request", {"action": action, **content}).result(60).content


def test_a_model_calls_a_tool_and_is_told_its_result(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        said = 'call calculator {"input": "2 + 3"}\ncall calculator {"input": "1 / 0"}'
        pending = client.request("agent_request", {"action": "execute", "agent": "ada", "input": said})
        events = [event.content["tool"] for event in pending if "tool" in event.content]
        reply = pending.result().content
        assert [(event["phase"], event["id"]) for event in events[:2]] == [("started", "call_0"), ("started", "call_1")]
        ended = {event["id"]: event for event in events[2:]}
        assert ended["call_0"]["success"]
        assert not ended["call_1"]["success"]
        good, bad = reply["tool_calls"]
        assert (good["name"], good["arguments"], good["success"]) == ("calculator", {"input": "2 + 3"}, True)
        assert good["result"] == ended["call_0"]["result"]
        assert good["duration_ms"] > 0
        assert (bad["success"], bad["error"]) == (False, ended["call_1"]["error"])
        assert (reply["tool_mode"], reply["limit"], reply["finish_reason"]) == ("native", None, "stop")
        assert reply["text"].startswith("[mock/m] Error: ")
        history = ask(client, "info", agent="ada")["agent"]["history"]
        assert [message["role"] for message in history] == ["user", "assistant", "tool", "tool", "assistant"]
        assert "5" in history[2]["content"]


def test_wrong_arguments_go_back_to_the_model_and_are_listed_where_it_does_not_try_again(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        reply = ask(client, "execute", agent="ada", input="call calculator {}")
        (call,) = reply["tool_calls"]
        assert (call["success"], call["code"]) == (False, "invalid_request")
        assert "Call the tool again" in reply["text"]


def test_a_person_at_the_client_is_asked_and_without_one_the_call_is_refused(
    start: Callable[[str], KernelProcess],
) -> None:
    with start('[tools]\napproval = "always"\n').client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        content = {"action": "execute", "agent": "ada", "input": 'call calculator {"input": "2 + 3"}'}
        questions: list[str] = []

        def answers(line: str) -> Callable[[str, bool], str]:
            def answer(prompt: str, password: bool) -> str:
                questions.append(prompt)
                return line

            return answer

        for line, success in (("y", True), ("n", False)):
            asked = {**content, "allow_stdin": True}
            reply = client.request("agent_request", asked, on_input=answers(line)).result(60).content
            [call] = reply["tool_calls"]
            assert call["success"] is success
        assert questions[0] == (
            'Agent \'ada\' wants to call calculator (safe) with {"input": "2 + 3"}\nAllow it? [y/N] '
        )
        [call] = client.request("agent_request", content).result(60).content["tool_calls"]
        assert (call["success"], call["code"]) == (False, "forbidden")
        assert "no person could be asked" in call["error"]


def stopped_turn(client: Client, kernel: KernelProcess) -> tuple[Pending, list[psutil.Process]]:
    """A turn that stands in the middle of a call, since the worker that has it was stopped; and the workers."""
    ask(client, "execute", agent="ada", input='call calculator {"input": "1"}')
    workers = [
        child
        for child in psutil.Process(kernel.pid).children(recursive=True)
        if "llmspell_tools.worker" in child.cmdline()
    ]
    for worker in workers:
        worker.suspend()
    content = {"action": "execute", "agent": "ada", "input": 'call calculator {"input": "2 + 3"}'}
    pending = client.request("agent_request", content)
    for event in pending:
        if event.content.get("tool", {}).get("phase") == "started":
            break
    return pending, workers


def test_a_tool_worker_that_is_killed_is_a_failed_call_and_the_turn_goes_on(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        for _ in range(5):
            pending, workers = stopped_turn(client, kernel)
            for worker in workers:
                worker.kill()
            reply = pending.result(60).content
            [call] = reply["tool_calls"]
            if not call["success"]:
                break  # else it was killed before it had the call, and another did it
        assert (call["success"], call["code"]) == (False, "worker_crashed")
        assert reply["text"].startswith("[mock/m] Error: the process of tool 'calculator' ended")


def test_a_turn_that_is_cancelled_leaves_the_conversation_as_it_was(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        pending, _ = stopped_turn(client, kernel)
        before = ask(client, "info", agent="ada")["agent"]["history"]
        pending.cancel()
        with pytest.raises(Cancelled):
            pending.result(60)
        assert ask(client, "info", agent="ada")["agent"]["history"] == before
        reply = ask(client, "execute", agent="ada", input='call calculator {"input": "2 + 3"}')
        assert reply["tool_calls"][0]["success"]


def test_an_agent_with_a_tool_that_does_not_exist_is_not_built(kernel: KernelProcess) -> None:
    with kernel.client() as client, pytest.raises(ToolNotFound) as caught:
        ask(client, "create", name="ada", model="mock/m", tools=["calculatr"])
    assert caught.value.hint == "did you mean 'calculator'?"
