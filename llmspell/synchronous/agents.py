# Written from llmspell/asynchronous/agents.py by `make schemas`.
"""Agents: conversations that the kernel remembers, with tools that their models may call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from llmspell.requests import Sampling, sampling_content, schema_content
from llmspell.results import AgentAnswer
from llmspell.synchronous.asking import Asking
from llmspell.synchronous.reply import Reply
from llmspell_protocol.areas.agent import (
    AgentDetails,
    AgentInfoReply,
    AgentListReply,
    AgentReply,
    AgentResetReply,
    AgentSummary,
)
from llmspell_protocol.client.sync import OnInput

_REQUEST = "agent_request"


class Agent:
    """One agent of this connection; it ends with the connection, or by `delete`."""

    def __init__(self, asking: Asking, summary: AgentSummary) -> None:
        self.id = summary.id
        self.name = summary.name
        self.model = summary.model
        self._asking = asking

    def __repr__(self) -> str:
        return f"<Agent {self.name} of {self.model}>"

    def execute(
        self,
        prompt: str,
        *,
        remember: bool = True,
        timeout_s: float | None = None,
        on_input: OnInput | None = None,
        **options: Unpack[Sampling],
    ) -> AgentAnswer:
        """One turn. `on_input` is asked before a tool does what needs a person's word; without it that is refused.

        Raises:
            LlmspellError: what the kernel answered; the conversation is as before.
        """
        pending = self._asking.send(
            _REQUEST, self._turn(prompt, remember, options), timeout_s=timeout_s, on_input=on_input
        )
        reply: Reply[AgentAnswer] = Reply(self._asking, pending, AgentAnswer, self.model)
        return reply.result()

    def stream(
        self,
        prompt: str,
        *,
        remember: bool = True,
        timeout_s: float | None = None,
        on_input: OnInput | None = None,
        **options: Unpack[Sampling],
    ) -> Reply[AgentAnswer]:
        """The same, its text as it comes."""
        pending = self._asking.send(
            _REQUEST, self._turn(prompt, remember, options), timeout_s=timeout_s, on_input=on_input
        )
        return Reply(self._asking, pending, AgentAnswer, self.model)

    def info(self) -> AgentDetails:
        """Its settings, and in `history` its conversation."""
        return (self._asking.ask(AgentInfoReply, _REQUEST, {"action": "info", "agent": self.id})).agent

    def reset(self) -> int:
        """Forgets the conversation; returns how many messages that were."""
        return (self._asking.ask(AgentResetReply, _REQUEST, {"action": "reset", "agent": self.id})).removed

    def delete(self) -> None:
        """Ends the agent."""
        self._asking.ask(AgentReply, _REQUEST, {"action": "delete", "agent": self.id})

    def _turn(self, prompt: str, remember: bool, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "action": "execute",
            "agent": self.id,
            "input": prompt,
            "remember": remember,
            "options": sampling_content(options),
        }


class Agents:
    """`kernel.agents`: makes agents, and tells which there are."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def create(
        self,
        *,
        model: str | None = None,
        name: str | None = None,
        system: str | None = None,
        tools: Sequence[str] = (),
        schema: Mapping[str, Any] | str | None = None,
        max_tool_calls: int | None = None,
        **options: Unpack[Sampling],
    ) -> Agent:
        """An agent; `tools` are names of the kernel's tools, of which one turn calls `max_tool_calls` at most.

        Raises:
            ModelNotFound, ToolNotFound: there is no such model or tool.
        """
        wanted = {
            "action": "create",
            "name": name,
            "model": model,
            "system_prompt": system,
            "tools": list(tools),
            "schema": schema_content(schema),
            "max_tool_calls": max_tool_calls,
            "options": sampling_content(options),
        }
        return Agent(self._asking, (self._asking.ask(AgentReply, _REQUEST, wanted)).agent)

    def list(self) -> Sequence[AgentSummary]:
        """The agents of this connection, oldest first."""
        return (self._asking.ask(AgentListReply, _REQUEST, {"action": "list"})).agents
