"""All agents: found by name, created, ended; each turn one at a time, remembered whole or not at all.

An agent belongs to an owner, a script context or a client, and ends with it (`forget`); owners don't see each
other's agents. Within an owner the newest agent of a name holds the name. Turns of one agent run one at a time, in the
order they were asked for. A turn is remembered whole or not at all: one that failed, timed out, was cancelled or was
ended by a limit before its answer leaves neither the user's message nor the half answer behind, so the same input can
be tried again.
Knows neither requests nor senders.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from llmspell_kernel.services.agents.agent import BASIC_MODEL, Agent
from llmspell_kernel.services.agents.chats import Chats
from llmspell_kernel.services.agents.composite import COMPOSITE, Composite
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.toolbox import NoTools, Toolbox
from llmspell_kernel.services.agents.turn import Turn
from llmspell_kernel.services.agents.turn_result import OnChunk, TurnResult, has_answer
from llmspell_kernel.times import now_text
from llmspell_protocol.areas.agent import AgentAnswer, AgentCompose, AgentCreate, AgentExecute
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Busy, InvalidRequest, NotFound, Timeout
from llmspell_protocol.models import ChatMessage
from llmspell_providers.spec import ModelSpec

MAX_AGENTS_PER_OWNER = 1000
DEFAULT_DESCRIPTION = "LLM-powered agent"


class AgentsService:
    """All agents of a kernel."""

    def __init__(self, models: Chats) -> None:
        self.models = models
        self._agents: dict[str, dict[str, Agent]] = {}
        self._names: dict[str, dict[str, Agent]] = {}
        self.on_end: Callable[[Agent], None] | None = None
        """Hears of each agent that ends with its owner."""

    async def demand_backend(self, wanted: AgentCreate) -> None:
        """Whether the agent's model could be asked for, before any model is: for callers that may wait.

        Raises:
            InvalidRequest: the model's name makes no sense.
            ConfigError: no model is named and the settings have no default, or the backend is not configured, not known
                or has no key.
            Unsupported: its vendor has no interface that is spoken here.
        """
        if wanted.type != BASIC_MODEL:
            await self.models.demand_backend(self._model_of(wanted))

    def create(self, wanted: AgentCreate, *, owner: str) -> Agent:
        """A new agent, which holds its name from now on. Touches no model: one that is missing fails in `execute`.

        Raises:
            InvalidRequest: the model's name or a limit makes no sense.
            ConfigError: no model is named and the settings have no default.
            Busy: the owner has `MAX_AGENTS_PER_OWNER` agents.
        """
        self._demand_room(owner)
        return self._added(self._build(wanted, owner))

    def compose(self, wanted: AgentCompose, composite: Composite, *, owner: str) -> Agent:
        """A new agent that is made of others.

        Raises:
            InvalidRequest: what is wanted makes no sense.
            Busy: the owner has `MAX_AGENTS_PER_OWNER` agents.
        """
        if not composite.members:
            raise InvalidRequest("agents: a composite needs at least one")
        if (composite.function is None) == (composite.strategy == "custom"):
            raise InvalidRequest("execute: a function is what strategy 'custom' needs, and no other")
        if composite.threshold is not None and not 0 <= composite.threshold <= 1:
            raise InvalidRequest(f"threshold is {composite.threshold:g}, not between 0 and 1")
        if wanted.timeout_ms is not None and wanted.timeout_ms <= 0:
            raise InvalidRequest(f"timeout_ms is {wanted.timeout_ms:g}, not more than 0")
        self._demand_room(owner)
        agent = self._build(AgentCreate(name=wanted.name, type=BASIC_MODEL, description=wanted.description), owner)
        agent.type = agent.model = COMPOSITE
        agent.composite = composite
        if wanted.timeout_ms is not None:
            agent.max_execution_time_s = wanted.timeout_ms / 1000
        return self._added(agent)

    def _demand_room(self, owner: str) -> None:
        own = self._agents.get(owner, {})
        if len(own) >= MAX_AGENTS_PER_OWNER:
            raise Busy(
                f"There are {len(own)} agents already",
                hint="delete agents that are no longer needed, or create one and reset its conversation",
                details={"limit": MAX_AGENTS_PER_OWNER},
            )

    def _added(self, agent: Agent) -> Agent:
        owner = agent.owner
        self._agents.setdefault(owner, {})[agent.id] = agent
        self._names.setdefault(owner, {})[agent.name] = agent
        return agent

    def find(self, name: str, *, owner: str) -> Agent:
        """The owner's agent with this id, else the one that holds this name.

        Raises:
            NotFound: there is none.
        """
        agent = self._agents.get(owner, {}).get(name) or self._names.get(owner, {}).get(name)
        if agent is None:
            raise _missing(name)
        return agent

    def list(self, *, owner: str) -> Sequence[Agent]:
        """The owner's agents, oldest first."""
        return tuple(self._agents.get(owner, {}).values())

    async def execute(
        self,
        agent: Agent,
        wanted: AgentExecute,
        *,
        client: str,
        on_chunk: OnChunk,
        toolbox: Toolbox | None = None,
        chats: Chats | None = None,
        apart: bool = False,
    ) -> TurnResult:
        """One turn: `on_chunk` gets every chunk as it comes, the result comes back. `chats` are the models else.

        A turn `apart` neither sees the conversation nor adds to it, and waits for no other turn of the agent.
        Cancelling the call cancels the work in the engine and in tools. `client` says in whose name the model is asked.

        Raises:
            NotFound: the agent was deleted while the turn waited for an earlier one.
            InvalidRequest: the agent is paused or has ended.
            Timeout: the model had finished no reply within the agent's `max_execution_time_s` (waiting for its turn not
                counted); after its first reply the result says that this limit ended the turn.
            ToolNotFound: there is no tool of one of the agent's names.
            LlmspellError: whatever the model's backend raises.
        """
        turn = Turn(
            agent,
            wanted,
            chats=chats or self.models,
            toolbox=toolbox or NoTools(),
            client=client,
            on_chunk=on_chunk,
            conversation=Conversation() if apart else agent.conversation,
        )
        if apart:
            return await self._take(agent, turn)
        async with agent.turn:
            result = await self._take(agent, turn)
            if not wanted.remember or not has_answer(turn.limit):
                return result
            pushed_out = turn.remember()
            return replace(result, dropped=result.dropped + pushed_out)

    async def answer(
        self, wanted: AgentAnswer, *, client: str, on_chunk: OnChunk, toolbox: Toolbox, chats: Chats | None = None
    ) -> tuple[TurnResult, Sequence[ChatMessage]]:
        """One turn over a conversation that the client keeps; what it adds to that, the answer last. As `execute`.

        Raises:
            InvalidRequest: the conversation does not end with a user's message.
        """
        system, said = _system_and_rest(wanted.messages)
        if not said or said[-1].role != "user":
            raise InvalidRequest("the last of messages has to be a user's")
        settings = AgentCreate(
            model=wanted.model,
            system_prompt=system,
            options=wanted.options,
            schema=wanted.schema,
            tools=wanted.tools,
            tool_mode=wanted.tool_mode,
            max_tool_calls=wanted.max_tool_calls,
            max_execution_time_s=wanted.max_execution_time_s,
            max_tokens_total=wanted.max_tokens_total,
            max_conversation_length=len(said),
        )
        agent = self._build(settings, client)
        # What a question about its calls names: the client has made no agent.
        agent.name, agent.think = agent.model, wanted.think
        agent.conversation.messages = list(said[:-1])
        execute = AgentExecute(agent=agent.id, input=said[-1].content, stream=wanted.stream)
        turn = Turn(
            agent,
            execute,
            chats=chats or self.models,
            toolbox=toolbox,
            client=client,
            on_chunk=on_chunk,
            message=said[-1],
            conversation=agent.conversation,
        )
        await self._run(agent, turn)
        return turn.result(), turn.said

    async def _take(self, agent: Agent, turn: Turn) -> TurnResult:
        if agent.deleted:
            raise _missing(agent.name)
        agent.lifecycle.demand_awake(agent.name)
        began = time.monotonic()
        with agent.metrics.counting():
            await self._run(agent, turn)
            agent.turns += 1
            result = turn.result()
            agent.metrics.take(result.result.usage, result.tool_calls, time.monotonic() - began)
        return result

    async def _run(self, agent: Agent, turn: Turn) -> None:
        try:
            async with asyncio.timeout(agent.max_execution_time_s) as limit:
                await turn.run(limit)
        except TimeoutError:
            if not limit.expired():
                raise
            turn.limit = "max_execution_time"
            if turn.has_replies:
                return
            raise Timeout(
                f"Agent '{agent.name}' timed out after {agent.max_execution_time_s:g}s",
                hint="give the agent more time (max_execution_time_secs) or ask for fewer tokens (max_tokens)",
                details={
                    "agent": agent.name,
                    "timeout_s": agent.max_execution_time_s,
                    "limit": turn.limit,
                    "tool_calls": to_content(turn.listed),
                },
            ) from None

    async def reset(self, agent: Agent) -> int:
        """Forgets the conversation, after the turn that is under way; returns how many messages went."""
        async with agent.turn:
            count = len(agent.history)
            agent.conversation.replace(Conversation())
            return count

    def delete(self, agent: Agent) -> None:
        """Ends an agent; a turn under way still gets its answer, those that wait fail."""
        agent.deleted = True
        self._agents.get(agent.owner, {}).pop(agent.id, None)
        names = self._names.get(agent.owner, {})
        if names.get(agent.name) is agent:
            del names[agent.name]

    def forget(self, owner: str) -> None:
        """Ends all agents of an owner that is gone."""
        for agent in self._agents.pop(owner, {}).values():
            agent.deleted = True
            if self.on_end is not None:
                self.on_end(agent)
        self._names.pop(owner, None)

    def _model_of(self, wanted: AgentCreate) -> str:
        """The spec of its model."""
        text = wanted.model if wanted.model is not None else self.models.default_model(wanted.provider)
        return str(ModelSpec.parse(text))

    def _build(self, wanted: AgentCreate, owner: str) -> Agent:
        if wanted.max_conversation_length < 0:
            raise InvalidRequest(f"max_conversation_length is {wanted.max_conversation_length}, less than 0")
        if wanted.max_execution_time_s <= 0:
            raise InvalidRequest(f"max_execution_time_s is {wanted.max_execution_time_s:g}, not more than 0")
        for name in ("max_conversation_tokens", "max_tokens_total", "max_tool_calls", "max_recursion_depth"):
            value = getattr(wanted, name)
            if value is not None and value < 0:
                raise InvalidRequest(f"{name} is {value}, less than 0")
        if wanted.tools and wanted.type == BASIC_MODEL:
            raise InvalidRequest("an agent of type 'basic' has no model that could call tools")
        model: str = BASIC_MODEL
        if wanted.type != BASIC_MODEL:
            model = self._model_of(wanted)
        name = wanted.name or f"agent_{os.urandom(4).hex()}"
        return Agent(
            id=os.urandom(16).hex(),
            owner=owner,
            name=name,
            type=wanted.type,
            model=model,
            description=wanted.description or DEFAULT_DESCRIPTION,
            system_prompt=wanted.system_prompt or "",
            options=wanted.options,
            schema=wanted.schema,
            device=wanted.device,
            speculation=wanted.speculation,
            max_conversation_length=wanted.max_conversation_length,
            max_conversation_tokens=wanted.max_conversation_tokens,
            summarize=wanted.summarize,
            max_execution_time_s=wanted.max_execution_time_s,
            max_tokens_total=wanted.max_tokens_total,
            tools=tuple(wanted.tools),
            tool_mode=wanted.tool_mode,
            max_tool_calls=wanted.max_tool_calls,
            max_recursion_depth=wanted.max_recursion_depth,
            created_at=now_text(),
        )


def _system_and_rest(messages: Sequence[ChatMessage]) -> tuple[str | None, Sequence[ChatMessage]]:
    """The system prompt at the beginning of a conversation, and what follows it."""
    if messages and messages[0].role == "system":
        return messages[0].content, messages[1:]
    return None, messages


def _missing(name: str) -> NotFound:
    return NotFound(
        f"Agent '{name}' not found",
        hint="agents end with the script, notebook or client that created them",
        details={"agent": name},
    )
