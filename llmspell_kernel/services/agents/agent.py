"""One agent: its settings and its conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmspell_kernel.services.agents.composite import COMPOSITE, Composite
from llmspell_kernel.services.agents.conversation import Conversation
from llmspell_kernel.services.agents.lifecycle import Lifecycle
from llmspell_kernel.services.agents.metrics import Metrics
from llmspell_protocol.areas.agent import AgentDetails, AgentSummary, ToolMode
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatMessage, SamplingOptions, Speculation
from llmspell_providers.spec import ModelSpec

BASIC_MODEL: Literal["basic"] = "basic"
"""What stands as model and backend of an agent that answers with its input."""


@dataclass(slots=True, eq=False, kw_only=True)
class Agent:
    """One agent and its conversation; belongs to the loop.

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
    max_conversation_tokens: int | None
    summarize: bool
    max_execution_time_s: float
    max_tokens_total: int | None
    tools: Sequence[str]
    tool_mode: ToolMode
    max_tool_calls: int
    max_recursion_depth: int
    created_at: str
    composite: Composite | None = None
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    metrics: Metrics = field(default_factory=Metrics)
    conversation: Conversation = field(default_factory=Conversation)
    turns: int = 0
    deleted: bool = False
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    think: bool | None = None
    """Whether its model is to think aloud first; None: as it does by itself."""
    lacks_calls: bool = False
    """Its model was asked with tools, and its backend said that it has no place for them."""

    @property
    def history(self) -> list[ChatMessage]:
        """The messages that it remembers."""
        return self.conversation.messages

    @property
    def provider(self) -> str:
        """The part of the model's name that says where it runs; `local` where the settings decide."""
        if self.type in (BASIC_MODEL, COMPOSITE):
            return self.type
        spec = ModelSpec.parse(self.model)
        return spec.backend or spec.provider or "local"

    @property
    def memory_bytes(self) -> int:
        """What its conversation takes as text."""
        return sum(len(message.content.encode()) for message in self.history) + len(self.conversation.summary.encode())

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
            max_conversation_tokens=self.max_conversation_tokens,
            summarize=self.summarize,
            max_execution_time_s=self.max_execution_time_s,
            max_tokens_total=self.max_tokens_total,
            tools=self.tools,
            tool_mode=self.tool_mode,
            max_tool_calls=self.max_tool_calls,
            max_recursion_depth=self.max_recursion_depth,
            history=[_shown(message) for message in self.history],
            summary=self.conversation.summary or None,
            members=() if self.composite is None else tuple(member.id for member in self.composite.members),
        )

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


def _shown(message: ChatMessage) -> dict[str, Any]:
    shown: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        shown["tool_calls"] = to_content(message.tool_calls)
    if message.role == "tool":
        shown |= {"name": message.name, "tool_call_id": message.tool_call_id}
    return shown
