"""Turns that requests ask for: of one agent with the request's tools, or of a composite's members."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmspell_kernel.parts import followed, is_followed
from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.chats import Chats
from llmspell_kernel.services.agents.composite_answers import answer_of
from llmspell_kernel.services.agents.hooked import AgentOccasions
from llmspell_kernel.services.agents.nesting import Nestings, turn_within
from llmspell_kernel.services.agents.request_chats import RequestChats
from llmspell_kernel.services.agents.request_tools import RequestTools
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.agents.turn_result import OnChunk, TurnResult, shown_turn
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
        occasions: AgentOccasions,
    ) -> None:
        self._agents = agents
        self._tools = tools
        self._contexts = contexts
        self._settings = settings
        self.occasions = occasions
        agents.on_end = occasions.ended
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

        async def do(name: str, asked: AgentExecute) -> TurnResult:
            chosen = agent if name == agent.name else self._agents.find(name, owner=agent.owner)
            with self._nestings.enter(request, chosen, apart=apart):
                if chosen.composite is not None:
                    return await self._run_composite(request, chosen, asked, on_chunk)
                toolbox = RequestTools(request, self._tools, self._settings)
                return await self._agents.execute(
                    chosen,
                    asked,
                    client=request.caller.client,
                    on_chunk=on_chunk,
                    toolbox=toolbox,
                    chats=self._chats(request),
                    apart=apart,
                )

        return await self.occasions.around_turn(request, agent, wanted, do)

    async def answer(
        self, request: Request, wanted: AgentAnswer, on_chunk: OnChunk
    ) -> tuple[TurnResult, Sequence[ChatMessage]]:
        """One turn over a conversation that the client keeps, as `AgentsService.answer`."""
        last = wanted.messages[-1] if wanted.messages else ChatMessage(role="user")

        async def do(model: str, text: str) -> tuple[TurnResult, Sequence[ChatMessage]]:
            asked = wanted if model == (wanted.model or "") else replace(wanted, model=model)
            if text != last.content:
                asked = replace(asked, messages=[*wanted.messages[:-1], replace(last, content=text)])
            toolbox = RequestTools(request, self._tools, self._settings)
            return await self._agents.answer(
                asked,
                client=request.caller.client,
                on_chunk=on_chunk,
                toolbox=toolbox,
                chats=self._chats(request),
            )

        return await self.occasions.around_answer(request, wanted.model or "", last, do)

    async def run_part(
        self, request: Request, agent: Agent, wanted: AgentExecute, on_chunk: OnChunk, *, apart: bool = False
    ) -> TurnResult:
        """One turn that is part of a request which does other things, too."""
        with turn_within(request, agent, wanted.input) as part:
            return await self.run_followed(part, agent, wanted, on_chunk, apart=apart)

    async def run_followed(
        self,
        part: Request,
        agent: Agent,
        wanted: AgentExecute,
        on_chunk: OnChunk,
        *,
        apart: bool = False,
        step: str | None = None,
    ) -> TurnResult:
        """One turn for a part whose content has the `input`; recorded as a step of its own where its whole is."""

        async def work(content: Content) -> TurnResult:
            asked = wanted if content["input"] == wanted.input else replace(wanted, input=str(content["input"]))
            return await self.run(part, agent, asked, on_chunk, apart=apart)

        return await followed(part, work, shown=lambda turn: shown_turn(str(part.content["agent"]), turn), step=step)

    def _chats(self, request: Request) -> Chats | None:
        """The models as a request's agents ask them; None: as the service has them."""
        return RequestChats(request, self._agents.models) if is_followed(request) else None

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
