"""An agents service over scripted models and tools, and what a test looks at."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.agents.turn_result import TurnResult
from llmspell_protocol.areas.agent import AgentCreate, AgentExecute
from llmspell_protocol.models import ChatChunk, ToolEvent
from tests.support.scripted_models import Reply, ScriptedModels
from tests.support.scripted_tools import ScriptedTools

OWNER = "context-1"


class AgentScene:
    """An agent `ada` with the tools of `tools`, whose model gives these replies."""

    def __init__(self, *replies: Reply) -> None:
        self.models = ScriptedModels()
        self.models.replies.extend(replies)
        self.tools = ScriptedTools()
        self.service = AgentsService(self.models)
        self.chunks: list[ChatChunk] = []

    def agent(self, *tools: str, **fields: Any) -> Agent:
        """An agent that may call these."""
        wanted = AgentCreate(**{"model": "mock/x", "name": "ada", "tools": tools, **fields})
        return self.service.create(wanted, owner=OWNER)

    async def say(self, agent: Agent, text: str = "go", **fields: Any) -> TurnResult:
        """One turn."""
        return await self.service.execute(
            agent,
            AgentExecute(agent="", input=text, **fields),
            client="c",
            on_chunk=self.chunks.append,
            toolbox=self.tools,
        )

    @property
    def events(self) -> list[ToolEvent]:
        """What was told of tools."""
        return [chunk.tool for chunk in self.chunks if chunk.tool is not None]

    @property
    def text(self) -> str:
        """What was streamed."""
        return "".join(chunk.text for chunk in self.chunks)

    def told(self) -> list[str]:
        """What the model was told of tools in its last prompt."""
        return [message.content for message in self.models.asked[-1].messages if message.role == "tool"]
