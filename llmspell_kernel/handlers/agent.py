"""`agent_request`: one method an action, translated for the agents service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.relay import relay
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.as_tools import AgentTools
from llmspell_kernel.services.agents.composite import Composite
from llmspell_kernel.services.agents.runs import AgentRuns
from llmspell_kernel.services.agents.saved import SavedConversations
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.agents.shared_data import SharedData
from llmspell_kernel.services.agents.turn_result import TurnResult
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.agent import (
    AgentAnswer,
    AgentAnswerReply,
    AgentCompose,
    AgentCreate,
    AgentExecute,
    AgentExecuteReply,
    AgentInfoReply,
    AgentListReply,
    AgentMetricsReply,
    AgentNamed,
    AgentReply,
    AgentResetReply,
    AgentSavedReply,
    AgentState,
    AgentStateReply,
    AgentWrap,
    AgentWrapReply,
    Dropped,
)
from llmspell_protocol.areas.agent_contexts import (
    ContextCreate,
    ContextKey,
    ContextNamed,
    ContextReply,
    ContextValue,
    MemoryKey,
    MemoryValue,
    ValueReply,
)
from llmspell_protocol.models import ChatChunk


class AgentHandler(AreaHandler):
    """Answers `agent_request`."""

    def __init__(
        self,
        agents: AgentsService,
        runs: AgentRuns,
        shared: SharedData,
        saved: SavedConversations,
        *,
        tools: Callable[[], AgentTools],
        contexts: Contexts,
    ) -> None:
        self._agents = agents
        self._runs = runs
        self._shared = shared
        self._saved = saved
        self._tools = tools
        self._contexts = contexts

    async def create(self, request: Request, wanted: AgentCreate) -> AgentReply:
        """A new agent, whose model may be missing, but neither its backend nor its tools."""
        wanted = _with_default(wanted, request)
        await self._runs.demand_tools(request, wanted.tools)
        await self._agents.demand_backend(wanted)

        async def make(asked: AgentCreate) -> Agent:
            if asked is not wanted:
                await self._runs.demand_tools(request, asked.tools)
                await self._agents.demand_backend(asked)
            return self._agents.create(asked, owner=owner_of(request.caller))

        agent = await self._runs.occasions.around_init(request, wanted, make)
        return AgentReply(agent=agent.summary())

    async def execute(self, request: Request, wanted: AgentExecute) -> AgentExecuteReply:
        """One turn, streamed as of `model chat`."""

        def on_chunk(chunk: ChatChunk) -> None:
            relay(request, chunk, stream=wanted.stream)

        agent = self._find(request, wanted.agent)
        if wanted.context_id is not None:
            values = self._shared.all(wanted.context_id, owner_of(request.caller))
            wanted = replace(wanted, context={**values, **(wanted.context or {})})
        turn = await self._runs.run(request, agent, wanted, on_chunk)
        return _executed(agent, turn)

    async def answer(self, request: Request, wanted: AgentAnswer) -> AgentAnswerReply:
        """One turn over the client's own conversation."""

        def on_chunk(chunk: ChatChunk) -> None:
            relay(request, chunk, stream=wanted.stream)

        turn, said = await self._runs.answer(request, wanted, on_chunk)
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
        await self._runs.occasions.around_shutdown(request, agent, lambda: self._agents.delete(agent))
        return AgentReply(agent=agent.summary())

    async def compose(self, request: Request, wanted: AgentCompose) -> AgentReply:
        """An agent that is made of others."""
        composite = Composite(
            members=[self._find(request, name) for name in wanted.agents],
            strategy=wanted.strategy,
            fallback=None if wanted.fallback_agent is None else self._find(request, wanted.fallback_agent),
            threshold=wanted.threshold,
            function=None if wanted.execute is None else self._contexts.function(request, wanted.execute),
        )

        async def make(asked: AgentCreate) -> Agent:
            named = replace(wanted, name=asked.name or wanted.name, description=asked.description)
            return self._agents.compose(named, composite, owner=owner_of(request.caller))

        asked = AgentCreate(name=wanted.name, type="basic", description=wanted.description)
        return AgentReply(agent=(await self._runs.occasions.around_init(request, asked, make)).summary())

    async def wrap(self, request: Request, wanted: AgentWrap) -> AgentWrapReply:
        """An agent as a tool."""
        tool = self._tools().wrap(
            self._find(request, wanted.agent),
            name=wanted.tool_name,
            description=wanted.description,
            category=wanted.category,
            level=wanted.security_level,
        )
        return AgentWrapReply(tool=tool)

    async def state(self, request: Request, wanted: AgentState) -> AgentStateReply:
        """A step of an agent's states."""
        lifecycle = self._find(request, wanted.agent).lifecycle
        lifecycle.apply(wanted.operation, wanted.reason)
        return lifecycle.reply()

    async def metrics(self, request: Request, wanted: AgentNamed) -> AgentMetricsReply:
        """What was counted of an agent."""
        agent = self._find(request, wanted.agent)
        return agent.metrics.reply(agent.id, agent.memory_bytes)

    async def save(self, request: Request, wanted: AgentNamed) -> AgentSavedReply:
        """Keeps a conversation under the agent's name, after the turn that is under way."""
        agent = self._find(request, wanted.agent)
        async with agent.turn:
            await asyncio.to_thread(self._saved.save, agent.name, agent.conversation, key_id=request.caller.key_id)
        return AgentSavedReply(agent=agent.summary(), found=True, messages=len(agent.history))

    async def load(self, request: Request, wanted: AgentNamed) -> AgentSavedReply:
        """Puts what was kept in the place of the conversation, after the turn that is under way."""
        agent = self._find(request, wanted.agent)
        async with agent.turn:
            found = await asyncio.to_thread(self._saved.load, agent.name, key_id=request.caller.key_id)
            if found is not None:
                agent.conversation.replace(found)
        return AgentSavedReply(agent=agent.summary(), found=found is not None, messages=len(agent.history))

    async def discard(self, request: Request, wanted: AgentNamed) -> AgentSavedReply:
        """Removes what was kept under the agent's name."""
        agent = self._find(request, wanted.agent)
        found = await asyncio.to_thread(self._saved.discard, agent.name, key_id=request.caller.key_id)
        return AgentSavedReply(agent=agent.summary(), found=found, messages=len(agent.history))

    async def context_create(self, request: Request, wanted: ContextCreate) -> ContextReply:
        """A new context."""
        return ContextReply(context=self._shared.create(wanted, owner_of(request.caller)))

    async def context_set(self, request: Request, wanted: ContextValue) -> ContextReply:
        """Puts a value into a context."""
        self._shared.set(wanted.context, wanted.key, wanted.value, owner_of(request.caller))
        return ContextReply(context=wanted.context)

    async def context_get(self, request: Request, wanted: ContextKey) -> ValueReply:
        """A value of a context."""
        value = self._shared.get(wanted.context, wanted.key, owner_of(request.caller))
        return ValueReply(key=wanted.key, value=value)

    async def context_remove(self, request: Request, wanted: ContextNamed) -> ContextReply:
        """Ends a context."""
        self._shared.remove(wanted.context, owner_of(request.caller))
        return ContextReply(context=wanted.context)

    async def memory_set(self, request: Request, wanted: MemoryValue) -> ValueReply:
        """Shares a value."""
        self._shared.set_memory(wanted.scope, wanted.key, wanted.value, owner_of(request.caller))
        return ValueReply(key=wanted.key, value=wanted.value)

    async def memory_get(self, request: Request, wanted: MemoryKey) -> ValueReply:
        """A value that is shared."""
        value = self._shared.get_memory(wanted.scope, wanted.key, owner_of(request.caller))
        return ValueReply(key=wanted.key, value=value)

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
