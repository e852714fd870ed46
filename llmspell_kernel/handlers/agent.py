"""`agent_request`: one method an action, translated for the agents service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.relay import relay
from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.request_tools import RequestTools
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.agents.turn import TurnResult
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.service import ToolsService
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.agent import (
    AgentAnswer,
    AgentAnswerReply,
    AgentCreate,
    AgentExecute,
    AgentExecuteReply,
    AgentInfoReply,
    AgentListReply,
    AgentNamed,
    AgentReply,
    AgentResetReply,
    Dropped,
)
from llmspell_protocol.models import ChatChunk

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class AgentHandler(AreaHandler):
    """Answers `agent_request`."""

    def __init__(
        self, agents: AgentsService, tools: Callable[[], ToolsService], settings: Callable[[], Settings]
    ) -> None:
        self._agents = agents
        self._tools = tools
        self._settings = settings

    async def create(self, request: Request, wanted: AgentCreate) -> AgentReply:
        """A new agent, whose model may be missing, but not its backend."""
        wanted = _with_default(wanted, request)
        await self._agents.demand_backend(wanted)
        agent = self._agents.create(wanted, owner=owner_of(request.caller))
        return AgentReply(agent=agent.summary())

    async def execute(self, request: Request, wanted: AgentExecute) -> AgentExecuteReply:
        """One turn, streamed as of `model chat`."""

        def on_chunk(chunk: ChatChunk) -> None:
            relay(request, chunk, stream=wanted.stream)

        agent = self._find(request, wanted.agent)
        toolbox = RequestTools(request, self._tools, self._settings)
        turn = await self._agents.execute(
            agent, wanted, client=request.caller.client, on_chunk=on_chunk, toolbox=toolbox
        )
        return _executed(agent, turn)

    async def answer(self, request: Request, wanted: AgentAnswer) -> AgentAnswerReply:
        """One turn over the client's own conversation."""

        def on_chunk(chunk: ChatChunk) -> None:
            relay(request, chunk, stream=wanted.stream)

        toolbox = RequestTools(request, self._tools, self._settings)
        turn, said = await self._agents.answer(wanted, client=request.caller.client, on_chunk=on_chunk, toolbox=toolbox)
        answer = {item.name: getattr(turn.result, item.name) for item in fields(turn.result)}
        return AgentAnswerReply(
            text=turn.result.message.content,
            messages=said,
            tool_calls=turn.tool_calls,
            tool_mode=turn.tool_mode,
            limit=turn.limit,
            **answer,
        )

    async def list(self, request: Request, wanted: Empty) -> AgentListReply:
        """The caller's agents."""
        agents = [agent.summary() for agent in self._agents.list(owner=owner_of(request.caller))]
        return AgentListReply(agents=agents, count=len(agents))

    async def info(self, request: Request, wanted: AgentNamed) -> AgentInfoReply:
        """Settings and conversation of one agent."""
        return AgentInfoReply(agent=self._find(request, wanted.agent).details())

    async def reset(self, request: Request, wanted: AgentNamed) -> AgentResetReply:
        """Forgets a conversation."""
        agent = self._find(request, wanted.agent)
        removed = await self._agents.reset(agent)
        return AgentResetReply(agent=agent.summary(), removed=removed)

    async def delete(self, request: Request, wanted: AgentNamed) -> AgentReply:
        """Ends an agent."""
        agent = self._find(request, wanted.agent)
        self._agents.delete(agent)
        return AgentReply(agent=agent.summary())

    def _find(self, request: Request, name: str) -> Agent:
        return self._agents.find(name, owner=owner_of(request.caller))


def _executed(agent: Agent, turn: TurnResult) -> AgentExecuteReply:
    answer = {item.name: getattr(turn.result, item.name) for item in fields(turn.result)}
    return AgentExecuteReply(
        agent=agent.summary(),
        text=turn.result.message.content,
        tool_calls=turn.tool_calls,
        tool_mode=turn.tool_mode,
        limit=turn.limit,
        dropped=Dropped(messages=turn.dropped, summarized=turn.summarized) if turn.dropped else None,
        **answer,
    )


def _with_default(wanted: AgentCreate, request: Request) -> AgentCreate:
    """The model that the client has chosen for what names none (`metadata.llmspell.model`)."""
    model = request.root.options.model
    if wanted.model is not None or wanted.provider is not None or not model:
        return wanted
    return replace(wanted, model=model)
