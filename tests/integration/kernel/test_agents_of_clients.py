"""Agents asked for over a socket: they remember what was said, and are their client's own."""

from __future__ import annotations

from llmspell_protocol.client.sync import Client
from tests.support.kernels import KernelProcess


def agents(client: Client, action: str, **content: object) -> dict[str, object]:
    """The content of an agent_reply."""
    return client.request("agent_request", {"action": action, **content}).result(20).content


def test_an_agent_answers_in_deltas_remembers_and_is_seen_by_its_client_alone(kernel: KernelProcess) -> None:
    with kernel.client() as mine, kernel.client() as other:
        agents(mine, "create", name="ada", model="mock/m")
        pending = mine.request("agent_request", {"action": "execute", "agent": "ada", "input": "good day"})
        deltas = [event.content["text"] for event in pending]
        reply = pending.result().content
        assert len(deltas) > 1
        assert "".join(deltas) == reply["text"] == "[mock/m] good day"
        info = agents(mine, "info", agent="ada")["agent"]
        assert isinstance(info, dict)
        assert [turn["content"] for turn in info["history"]] == ["good day", "[mock/m] good day"]
        assert agents(other, "list")["agents"] == []
