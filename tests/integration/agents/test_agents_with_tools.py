"""Agents of a running kernel that call its tools: the mock model calls what it is told to."""

from __future__ import annotations

from typing import Any

from llmspell_protocol.client.sync import Client
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
