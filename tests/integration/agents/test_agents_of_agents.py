"""Agents that other agents call, agents made of agents, and what they share: in a running kernel, by its protocol."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelError, NotFound
from tests.support.kernels import KernelProcess


def ask(client: Client, action: str, **content: object) -> dict[str, Any]:
    """The content of an agent_reply."""
    return client.request("agent_request", {"action": action, **content}).result(60).content


def say(client: Client, agent: str, text: str, **content: object) -> dict[str, Any]:
    """One turn."""
    return ask(client, "execute", agent=agent, input=text, **content)


def test_an_agent_is_a_tool_whose_calls_are_conversations_of_their_own(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="poet", model="mock/poet")
        say(client, "poet", "remember this")
        assert ask(client, "wrap", agent="poet")["tool"] == "poet_tool"
        ask(client, "create", name="ada", model="mock/ada", tools=["poet_tool"])
        reply = say(client, "ada", 'call poet_tool {"text": "a rose"}\ncall poet_tool {"text": "a tree"}')
        assert [call["success"] for call in reply["tool_calls"]] == [True, True]
        assert [call["result"]["content"] for call in reply["tool_calls"]] == [
            "[mock/poet] a rose",
            "[mock/poet] a tree",
        ]
        assert ask(client, "info", agent="poet")["agent"]["messages"] == 2
        listed = client.request("tool_request", {"action": "info", "tool": "poet_tool"}).result(20).content["tool"]
        assert (listed["source"], listed["security_level"]) == ("agent", "safe")
        called = {"action": "invoke", "tool": "poet_tool", "parameters": {"text": "a sea"}}
        assert client.request("tool_request", called).result(20).content["output"] == "[mock/poet] a sea"
        ask(client, "delete", agent="poet")
        with pytest.raises(NotFound):
            client.request("tool_request", called).result(20)


def test_agents_call_each_other_as_deep_as_the_one_above_allows(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="leaf", model="mock/m")
        ask(client, "wrap", agent="leaf")
        ask(client, "create", name="middle", model="mock/m", tools=["leaf_tool"])
        ask(client, "wrap", agent="middle")
        ask(client, "create", name="top", model="mock/m", tools=["middle_tool"], max_recursion_depth=1)
        inner = 'call leaf_tool {\\"text\\": \\"hello\\"}'
        [call] = say(client, "middle", 'call leaf_tool {"text": "hello"}')["tool_calls"]
        assert call["success"]
        reply = say(client, "top", f'call middle_tool {{"text": "{inner}"}}')
        [call] = reply["tool_calls"]
        # What was too deep is the limit of the turn that went there, and a failed call of the one above.
        assert (reply["limit"], call["success"], call["code"]) == (None, False, "max_recursion_depth")
        ask(client, "create", name="shallow", model="mock/m", tools=["leaf_tool"], max_recursion_depth=0)
        reply = say(client, "shallow", 'call leaf_tool {"text": "hello"}')
        assert (reply["limit"], reply["tool_calls"][0]["success"]) == ("max_recursion_depth", False)


def test_composites_answer_in_sequence_side_by_side_and_by_vote(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        for name in ("a", "b", "c"):
            ask(client, "create", name=name, model=f"mock/{name}")
        ask(client, "create", name="basic", type="basic")
        ask(client, "create", name="echo", type="basic")
        agent = ask(client, "compose", name="line", agents=["a", "b"])["agent"]
        assert (agent["type"], agent["model"], agent["provider"]) == ("composite", "composite", "composite")
        pending = client.request("agent_request", {"action": "execute", "agent": "line", "input": "hi"})
        assert "".join(event.content.get("text", "") for event in pending) == "[mock/b] [mock/a] hi"
        reply = pending.result().content
        assert reply["text"] == "[mock/b] [mock/a] hi"
        assert reply["usage"]["completion_tokens"] > 10
        ask(client, "compose", name="there and back", agents=["a", "b", "a"])
        pending = client.request("agent_request", {"action": "execute", "agent": "there and back", "input": "hi"})
        streamed = "".join(event.content.get("text", "") for event in pending)
        assert streamed == pending.result().content["text"] == "[mock/a] [mock/b] [mock/a] hi"
        ask(client, "compose", name="choir", agents=["a", "b"], strategy="parallel")
        assert say(client, "choir", "hi")["text"] == "[mock/a] hi\n\n[mock/b] hi"
        ask(client, "compose", name="jury", agents=["a", "basic", "echo"], strategy="vote")
        assert say(client, "jury", "yes")["text"] == "yes"
        ask(client, "compose", name="strict", agents=["a", "b", "c"], strategy="vote", threshold=0.5)
        with pytest.raises(ModelError, match=r"0\.5 of the votes"):
            say(client, "strict", "yes")
        ask(client, "compose", name="kind", agents=["a", "b"], strategy="vote", fallback_agent="basic")
        assert say(client, "kind", "yes")["text"] == "yes"
        ask(client, "create", name="lost", model="nothing-like-it@candle")
        ask(client, "compose", name="broken choir", agents=["a", "lost"], strategy="parallel")
        with pytest.raises(LlmspellError):
            say(client, "broken choir", "yes")
        ask(client, "compose", name="absent juror", agents=["lost", "echo", "basic"], strategy="vote")
        assert say(client, "absent juror", "yes")["text"] == "yes"
        assert ask(client, "metrics", agent="strict")["requests_failed"] == 1
        assert ask(client, "metrics", agent="line")["success_rate"] == 1.0


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"agents": []}, InvalidRequest),
        ({"agents": ["nobody"]}, NotFound),
        ({"agents": ["a"], "strategy": "custom"}, InvalidRequest),
        ({"agents": ["a"], "threshold": 2}, InvalidRequest),
        ({"agents": ["a"], "timeout_ms": 0}, InvalidRequest),
        ({"agents": ["a"], "strategy": "magic"}, InvalidRequest),
    ],
)
def test_a_composite_that_makes_no_sense_is_refused(
    kernel: KernelProcess, fields: dict[str, Any], error: type[LlmspellError]
) -> None:
    with kernel.client() as client:
        ask(client, "create", name="a", type="basic")
        with pytest.raises(error):
            ask(client, "compose", name="x", **fields)


def test_a_composite_can_not_answer_within_a_turn_of_its_own(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="a", type="basic")
        ask(client, "compose", name="x", agents=["a"])
        ask(client, "compose", name="y", agents=["x", "a"])
        assert say(client, "y", "deep")["text"] == "deep"


def test_states_lead_in_their_order_and_a_paused_agent_takes_no_turns(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", type="basic")

        def state(operation: str, **fields: object) -> dict[str, Any]:
            return ask(client, "state", agent="ada", operation=operation, **fields)

        assert state("show")["state"] == "Uninitialized"
        with pytest.raises(InvalidRequest, match="Invalid state transition: Uninitialized -> Running"):
            state("start")
        assert [state(one)["state"] for one in ("initialize", "start", "pause")] == ["Ready", "Running", "Paused"]
        with pytest.raises(InvalidRequest, match="paused"):
            say(client, "ada", "hello")
        state("resume")
        assert say(client, "ada", "hello")["text"] == "hello"
        told = state("fail", reason="out of ideas")
        assert (told["healthy"], told["last_error"], told["error_count"]) == (False, "out of ideas", 1)
        told = state("recover")
        assert (told["state"], told["recovery_attempts"], told["total_transitions"]) == ("Ready", 1, 8)
        assert [(one["before"], one["after"]) for one in told["history"]][-2:] == [
            ("Error", "Recovering"),
            ("Recovering", "Ready"),
        ]
        assert set(told["seconds_in_state"]) == {
            *("Uninitialized", "Initializing", "Ready", "Running", "Paused", "Error", "Recovering")
        }
        assert state("terminate")["state"] == "Terminated"
        with pytest.raises(InvalidRequest, match="terminated"):
            say(client, "ada", "hello")


def test_metrics_count_turns_tools_and_failures(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="ada", model="mock/m", tools=["calculator"])
        empty = ask(client, "metrics", agent="ada")
        assert (empty["requests_total"], empty["avg_execution_time_ms"], empty["success_rate"]) == (0, None, None)
        say(client, "ada", 'call calculator {"input": "1 + 1"}\ncall calculator {"input": "1 / 0"}')
        ask(client, "create", name="ada", model="mock/m")
        ask(client, "state", agent="ada", operation="initialize")
        ask(client, "state", agent="ada", operation="fail", reason="a test")
        with pytest.raises(InvalidRequest):
            say(client, "ada", "hello")
        assert ask(client, "metrics", agent="ada")["requests_total"] == 0
        ask(client, "create", name="ada", model="nothing-like-it@candle")
        with pytest.raises(LlmspellError):
            say(client, "ada", "hello")
        failed = ask(client, "metrics", agent="ada")
        assert (failed["requests_total"], failed["requests_failed"], failed["error_rate"]) == (1, 1, 1.0)
        first = ask(client, "list")["agents"][0]["id"]
        counted = ask(client, "metrics", agent=first)
        assert (counted["requests_total"], counted["tool_invocations"], counted["tool_failures"]) == (1, 2, 1)
        assert counted["memory_bytes"] > 0
        assert counted["avg_execution_time_ms"] > 0


def test_a_saved_conversation_is_there_for_a_later_agent_of_the_name(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        ask(client, "create", name="../ada", model="mock/m", tools=["calculator"])
        say(client, "../ada", 'call calculator {"input": "1 + 1"}')
        before = ask(client, "info", agent="../ada")["agent"]["history"]
        assert ask(client, "save", agent="../ada")["messages"] == len(before) == 4
    with kernel.client() as client:
        ask(client, "create", name="../ada", model="mock/m", tools=["calculator"])
        assert ask(client, "load", agent="../ada")["found"]
        assert ask(client, "info", agent="../ada")["agent"]["history"] == before
        assert ask(client, "discard", agent="../ada")["found"]
        assert not ask(client, "load", agent="../ada")["found"]
        assert ask(client, "info", agent="../ada")["agent"]["history"] == before


def test_contexts_give_turns_their_values_and_children_see_what_they_inherit(kernel: KernelProcess) -> None:
    with kernel.client() as client:
        top = ask(client, "context_create", data={"city": "Rome", "tone": "kind"})["context"]
        children = {
            how: ask(client, "context_create", parent=top, inheritance=how, data={"tone": how})["context"]
            for how in ("inherit", "copy", "isolate")
        }
        ask(client, "context_set", context=top, key="city", value="Oslo")

        def get(context: str, key: str) -> Any:
            return ask(client, "context_get", context=context, key=key)["value"]

        assert {how: get(one, "city") for how, one in children.items()} == {
            "inherit": "Oslo",
            "copy": "Rome",
            "isolate": None,
        }
        assert get(top, "tone") == "kind"
        shared = ask(client, "context_create", parent=top, inheritance="share")["context"]
        ask(client, "context_set", context=shared, key="tone", value="rude")
        assert get(top, "tone") == "rude"
        ask(client, "create", name="ada", type="basic")
        text = say(client, "ada", "Where?", context_id=children["inherit"], context={"when": "now"})["text"]
        assert text == "Where?\n\nContext:\n- city: Oslo\n- tone: inherit\n- when: now"
        ask(client, "context_remove", context=top)
        with pytest.raises(NotFound):
            get(top, "tone")
        assert get(children["inherit"], "city") == "Oslo"


def test_shared_memory_is_an_owners_and_by_scope(kernel: KernelProcess) -> None:
    with kernel.client() as client, kernel.client() as other:
        everywhere, mine = {"type": "global"}, {"type": "agent", "id": "ada"}
        ask(client, "memory_set", scope=everywhere, key="found", value=[1, {"a": None}])
        assert ask(client, "memory_get", scope=everywhere, key="found")["value"] == [1, {"a": None}]
        assert ask(client, "memory_get", scope=mine, key="found")["value"] is None
        assert ask(other, "memory_get", scope=everywhere, key="found")["value"] is None
        ask(client, "memory_set", scope=everywhere, key="found")
        assert ask(client, "memory_get", scope=everywhere, key="found")["value"] is None
