"""Agents: a model, a system prompt and a conversation that outlives the request.

An agent belongs to an owner, a script context or a client, and ends with it (`forget`); owners don't see each
other's agents. Within an owner the newest agent of a name holds the name. Turns of one agent run one at a time, in the
order they were asked for. A turn is remembered whole or not at all: one that failed, timed out or was cancelled leaves
neither the user's message nor the half answer behind, so the same input can simply be tried again.
Knows neither requests nor senders.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from llmspell_protocol.areas.agent import AgentCreate, AgentDetails, AgentExecute, AgentSummary
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Busy, ContextLengthExceeded, InvalidRequest, NotFound, Timeout
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    SamplingOptions,
    Speculation,
    Timings,
    Usage,
)
from llmspell_providers.spec import ModelSpec

MAX_AGENTS_PER_OWNER = 1000
DEFAULT_DESCRIPTION = "LLM-powered agent"
BASIC_MODEL: Literal["basic"] = "basic"
"""What stands as model and backend of an agent that answers with its input."""


class Chats(Protocol):
    """What agents need of the models service."""

    async def demand_backend(self, model: str) -> None:
        """Raises what keeps the backend of a model from being asked, without asking any."""

    def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply; the last chunk carries the result. Closing it cancels the work."""

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model; raises `ConfigError` when the settings have none."""


@dataclass(slots=True, eq=False)
class Agent:
    """One agent and its conversation; belongs to the loop. `history` holds the user's and the assistant's turns.

    `system_prompt` is what its maker gave it, empty where that was nothing. Its name and description are for people: no
    model reads them.
    """

    id: str
    owner: str
    name: str
    type: str
    model: str
    description: str
    system_prompt: str
    options: SamplingOptions
    schema: Mapping[str, Any] | None
    device: str | None
    speculation: Speculation | None
    max_conversation_length: int
    max_execution_time_s: float
    created_at: str
    history: list[ChatMessage] = field(default_factory=list)
    turns: int = 0
    deleted: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def provider(self) -> str:
        """The part of the model's name that says where it runs; `local` where the settings decide."""
        if self.type == BASIC_MODEL:
            return BASIC_MODEL
        spec = ModelSpec.parse(self.model)
        return spec.backend or spec.provider or "local"

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self.turn.locked()

    def summary(self) -> AgentSummary:
        """What lists and replies show of it."""
        return AgentSummary(**self._summary())

    def details(self) -> AgentDetails:
        """The same with settings and conversation; options that were not set are left out."""
        return AgentDetails(
            **self._summary(),
            system_prompt=self.system_prompt,
            options={key: value for key, value in to_content(self.options).items() if value is not None},
            schema=self.schema,
            device=self.device,
            speculation=self.speculation,
            max_conversation_length=self.max_conversation_length,
            max_execution_time_s=self.max_execution_time_s,
            history=[{"role": message.role, "content": message.content} for message in self.history],
        )

    def prompt(self, message: ChatMessage) -> list[ChatMessage]:
        """What the model gets to read for one more message of the user's."""
        system = [ChatMessage(role="system", content=self.system_prompt)] if self.system_prompt else []
        return [*system, *_newest(self.history, self.max_conversation_length - 1), message]

    def _summary(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "type": self.type,
            "model": self.model,
            "provider": self.provider,
            "description": self.description,
            "turns": self.turns,
            "messages": len(self.history),
            "busy": self.busy,
            "created_at": self.created_at,
        }

    def remember(self, message: ChatMessage, answer: ChatMessage) -> None:
        """Adds a finished turn; the oldest messages go when the conversation is longer than it may be."""
        # Reasoning is for the reader; models are not trained to see that of earlier turns again.
        turn = (message, replace(answer, reasoning=None))
        self.history = _newest([*self.history, *turn], self.max_conversation_length)


class AgentsService:
    """All agents of a kernel."""

    def __init__(self, models: Chats) -> None:
        self._models = models
        self._agents: dict[str, dict[str, Agent]] = {}
        self._names: dict[str, dict[str, Agent]] = {}

    async def demand_backend(self, wanted: AgentCreate) -> None:
        """Whether the agent's model could be asked for, before any model is: for callers that may wait.

        Raises:
            InvalidRequest: the model's name makes no sense.
            ConfigError: no model is named and the settings have no default, or the backend is not configured, not known
                or has no key.
            Unsupported: its vendor has no interface that is spoken here.
        """
        if wanted.type != BASIC_MODEL:
            await self._models.demand_backend(self._model_of(wanted))

    def create(self, wanted: AgentCreate, *, owner: str) -> Agent:
        """A new agent, which holds its name from now on. Touches no model: one that is missing fails in `execute`.

        Raises:
            InvalidRequest: the model's name or a limit makes no sense.
            ConfigError: no model is named and the settings have no default.
            Busy: the owner has `MAX_AGENTS_PER_OWNER` agents.
        """
        own = self._agents.get(owner, {})
        if len(own) >= MAX_AGENTS_PER_OWNER:
            raise Busy(
                f"There are {len(own)} agents already",
                hint="delete agents that are no longer needed, or create one and reset its conversation",
                details={"limit": MAX_AGENTS_PER_OWNER},
            )
        agent = self._build(wanted, owner)
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
        self, agent: Agent, wanted: AgentExecute, *, client: str, on_chunk: Callable[[ChatChunk], None]
    ) -> ChatResult:
        """One turn: `on_chunk` gets every chunk as it comes, the result comes back.

        Cancelling the call cancels the work in the engine. `client` says in whose name the model is asked.

        Raises:
            NotFound: the agent was deleted while the turn waited for an earlier one.
            Timeout: the turn took longer than the agent's `max_execution_time_s` (waiting for its turn not counted).
            LlmspellError: whatever the model's backend raises.
        """
        async with agent.turn:
            if agent.deleted:
                raise _missing(agent.name)
            message = ChatMessage(role="user", content=_user_text(wanted))
            try:
                async with asyncio.timeout(agent.max_execution_time_s) as limit:
                    if agent.type == BASIC_MODEL:
                        result = _echo(message.content, on_chunk)
                    else:
                        result = await self._ask(agent, message, wanted, client, on_chunk)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise Timeout(
                    f"Agent '{agent.name}' timed out after {agent.max_execution_time_s:g}s",
                    hint="give the agent more time (max_execution_time_secs) or ask for fewer tokens (max_tokens)",
                    details={"agent": agent.name, "timeout_s": agent.max_execution_time_s},
                ) from None
            agent.turns += 1
            if wanted.remember:
                agent.remember(message, result.message)
            return result

    async def reset(self, agent: Agent) -> int:
        """Forgets the conversation, after the turn that is under way; returns how many messages went."""
        async with agent.turn:
            count = len(agent.history)
            agent.history = []
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
        self._names.pop(owner, None)

    def _model_of(self, wanted: AgentCreate) -> str:
        """The spec of its model."""
        text = wanted.model if wanted.model is not None else self._models.default_model(wanted.provider)
        return str(ModelSpec.parse(text))

    def _build(self, wanted: AgentCreate, owner: str) -> Agent:
        if wanted.max_conversation_length < 0:
            raise InvalidRequest(f"max_conversation_length is {wanted.max_conversation_length}, less than 0")
        if wanted.max_execution_time_s <= 0:
            raise InvalidRequest(f"max_execution_time_s is {wanted.max_execution_time_s:g}, not more than 0")
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
            max_execution_time_s=wanted.max_execution_time_s,
            created_at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )

    async def _ask(
        self,
        agent: Agent,
        message: ChatMessage,
        wanted: AgentExecute,
        client: str,
        on_chunk: Callable[[ChatChunk], None],
    ) -> ChatResult:
        request = ChatRequest(
            model=agent.model,
            messages=agent.prompt(message),
            schema=agent.schema,
            options=_merged(agent.options, wanted.options),
            stream=wanted.stream,
            device=agent.device,
            speculation=agent.speculation,
        )
        chunks = self._models.chat(request, client=client)
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    on_chunk(chunk)
                    if chunk.result is not None:
                        return chunk.result
        except ContextLengthExceeded as error:
            if not agent.history:
                raise
            num_ctx = error.details.get("num_ctx")
            raise ContextLengthExceeded(
                f"The conversation of agent '{agent.name}' no longer fits: {error.message}",
                hint="clear the agent's history, or give it a smaller max_conversation_length"
                + (f", or a larger context: num_ctx = {num_ctx}" if num_ctx is not None else ""),
                details=error.details,
            ) from error
        raise AssertionError(f"the answer of {agent.model} ended without a result")


def _newest(messages: Sequence[ChatMessage], count: int) -> list[ChatMessage]:
    """At most `count` of the last messages, beginning with one of the user's: templates insist on the order."""
    kept = list(messages[-count:]) if count > 0 else []
    while kept and kept[0].role != "user":
        del kept[0]
    return kept


def _merged(base: SamplingOptions, over: SamplingOptions) -> SamplingOptions:
    given = {item.name: getattr(over, item.name) for item in fields(over) if getattr(over, item.name) is not None}
    return replace(base, **given)


def _user_text(wanted: AgentExecute) -> str:
    blocks = [wanted.input]
    for title, values in (("Parameters", wanted.parameters), ("Context", wanted.context)):
        if values:
            lines = (f"- {key}: {_readable(value)}" for key, value in values.items())
            blocks.append("\n".join((f"{title}:", *lines)))
    return "\n\n".join(blocks)


def _readable(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _echo(text: str, on_chunk: Callable[[ChatChunk], None]) -> ChatResult:
    on_chunk(ChatChunk(text=text))
    return ChatResult(
        message=ChatMessage(role="assistant", content=text),
        finish_reason="stop",
        usage=Usage(),
        timings=Timings(),
        model=BASIC_MODEL,
        backend=BASIC_MODEL,
    )


def _missing(name: str) -> NotFound:
    return NotFound(
        f"Agent '{name}' not found",
        hint="agents end with the script, notebook or client that created them",
        details={"agent": name},
    )
