"""Turns that requests ask for: of one agent with the request's tools, or of a composite's members."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.composite_answers import answer_of
from llmspell_kernel.services.agents.nesting import Nestings, turn_within
from llmspell_kernel.services.agents.request_tools import RequestTools
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.agents.turn_result import OnChunk, TurnResult
from llmspell_kernel.services.tools.service import ToolsService
from llmspell_protocol.areas.agent import AgentAnswer, AgentExecute
from llmspell_protocol.errors import Timeout
from llmspell_protocol.models import ChatMessage

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class AgentRuns:
    """Runs agents for requests; belongs to the loop."""

    def __init__(
        self,
        agents: AgentsService,
        tools: Callable[[], ToolsService],
        contexts: Contexts,
        settings: Callable[[], Settings],
    ) -> None:
        self._agents = agents
        self._tools = tools
        self._contexts = contexts
        self._settings = settings
        self._nestings = Nestings()

    async def demand_tools(self, request: Request, names: Sequence[str]) -> None:
        """Raises `ToolNotFound` where a request's agents could not have one of these."""
        toolbox = RequestTools(request, self._tools, self._settings)
        for name in names:
            await toolbox.find(name)

    async def run(
        self, request: Request, agent: Agent, wanted: AgentExecute, on_chunk: OnChunk, *, apart: bool = False
    ) -> TurnResult:
        """One turn for a request; `apart` neither sees the agent's conversation nor adds to it.

        Raises:
            ToolError, InvalidRequest: as `Nestings.enter`.
            LlmspellError: as `AgentsService.execute`.
        """
        with self._nestings.enter(request, agent, apart=apart):
            if agent.composite is not None:
                return await self._run_composite(request, agent, wanted, on_chunk)
            toolbox = RequestTools(request, self._tools, self._settings)
            return await self._agents.execute(
                agent, wanted, client=request.caller.client, on_chunk=on_chunk, toolbox=toolbox, apart=apart
            )

    async def answer(
        self, request: Request, wanted: AgentAnswer, on_chunk: OnChunk
    ) -> tuple[TurnResult, Sequence[ChatMessage]]:
        """One turn over a conversation that the client keeps, as `AgentsService.answer`."""
        toolbox = RequestTools(request, self._tools, self._settings)
        return await self._agents.answer(wanted, client=request.caller.client, on_chunk=on_chunk, toolbox=toolbox)

    async def run_part(
        self, request: Request, agent: Agent, wanted: AgentExecute, on_chunk: OnChunk, *, apart: bool = False
    ) -> TurnResult:
        """One turn that is part of a request which does other things, too."""
        with turn_within(request, agent) as part:
            return await self.run(part, agent, wanted, on_chunk, apart=apart)

    async def _run_composite(
        self, request: Request, agent: Agent, wanted: AgentExecute, on_chunk: OnChunk
    ) -> TurnResult:
        assert agent.composite is not None
        metrics, began = agent.metrics, time.monotonic()
        agent.lifecycle.demand_awake(agent.name)
        with metrics.counting():
            try:
                async with asyncio.timeout(agent.max_execution_time_s) as limit:
                    answer = await answer_of(agent, wanted, request, self.run_part, self._contexts, on_chunk)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise Timeout(
                    f"Agent '{agent.name}' timed out after {agent.max_execution_time_s:g}s",
                    hint="give it more time (timeout_ms), or its agents less to do",
                    details={"agent": agent.name, "limit": "max_execution_time"},
                ) from None
            agent.turns += 1
            metrics.take(answer.result.usage, answer.tool_calls, time.monotonic() - began)
            return answer
