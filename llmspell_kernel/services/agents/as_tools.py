"""Agents as tools: their owner, and its other agents, can call them while it lives.

Each call is a conversation of its own: it neither sees what the agent remembers nor adds to it, so that several calls
run side by side and an agent may even call itself, `max_recursion_depth` levels deep.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.runs import AgentRuns
from llmspell_kernel.services.agents.turn_result import has_answer
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.invocation import Invocation, demand_name, plain_reply
from llmspell_protocol.areas.agent import AgentExecute
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, NotFound
from llmspell_protocol.models import ChatChunk
from llmspell_protocol.tools.description import Category, Level, ToolDescription

MAX_PER_OWNER = 1000
_TEXT = ("text", "prompt", "input", "instruction", "message", "query")
"""The parameter's name, and what else scripts call it."""
_PARAMETERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string", "description": "what the agent is asked", "x-also": list(_TEXT[1:])},
    },
    "required": ["text"],
}
_RESULT = "{content, model, tool_calls}; its primary value is the content"


class AgentTools:
    """The agents that were made tools, by owner and name; belongs to the loop."""

    def __init__(self, runs: AgentRuns) -> None:
        self._runs = runs
        self._by_owner: dict[str, dict[str, tuple[ToolDescription, Agent]]] = {}

    def wrap(self, agent: Agent, *, name: str | None, description: str | None, category: Category, level: Level) -> str:
        """Makes an agent a tool; returns the tool's name.

        Raises:
            InvalidRequest: the name is none, or the owner has too many.
        """
        tool = name or f"{agent.name}_tool"
        demand_name(tool)
        living = {of: one for of, one in self._by_owner.get(agent.owner, {}).items() if not one[1].deleted}
        if len(living) >= MAX_PER_OWNER and tool not in living:
            raise InvalidRequest(f"there are {len(living)} agents as tools already", hint="delete some of these agents")
        described = ToolDescription(
            name=tool,
            description=description or agent.description,
            category=category,
            security_level=level,
            parameters=_PARAMETERS,
            source="agent",
            result=_RESULT,
        )
        self._by_owner[agent.owner] = {**living, tool: (described, agent)}
        return tool

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """The owner's own."""
        return tuple(tool for tool, agent in self._by_owner.get(owner_of(caller), {}).values() if not agent.deleted)

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """One turn of the agent; its own limits bound it. A turn that a limit ended is its no.

        Raises:
            NotFound: the agent was deleted.
            LlmspellError: as `AgentRuns.run`.
        """
        found = self._by_owner.get(owner_of(invocation.request.caller), {}).get(invocation.tool.name)
        if found is None or found[1].deleted:
            raise NotFound(f"the agent of tool '{invocation.tool.name}' was deleted")
        agent = found[1]
        began = time.monotonic()
        turn = await self._runs.run_part(
            invocation.request,
            agent,
            AgentExecute(agent=agent.id, input=_text_of(invocation), stream=False, remember=False),
            _unheard,
            apart=True,
        )
        text = turn.result.message.content
        problem = None
        if not has_answer(turn.limit):
            problem = ToolProblem(message=f"agent '{agent.name}' was ended by its {turn.limit}", code=str(turn.limit))
        result = {"content": text, "model": turn.result.model, "tool_calls": to_content(turn.tool_calls)}
        return plain_reply(invocation.tool.name, result=result, output=text, text=text, problem=problem, began=began)

    def forget(self, owner: str) -> None:
        """A client or script context has ended, and its agents with it."""
        self._by_owner.pop(owner, None)


def _text_of(invocation: Invocation) -> str:
    for name in _TEXT:
        value = invocation.arguments.get(name)
        if isinstance(value, str):
            return value
    raise InvalidRequest(f"Missing required parameter 'text' of tool '{invocation.tool.name}'")


def _unheard(_chunk: ChatChunk) -> None:
    """A tool's answer comes whole."""
