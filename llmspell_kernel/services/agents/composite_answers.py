"""Answers of agents made of agents: one after the other, side by side, by vote, or as a script's function says.

Knows how answers become one; each member's turn is run by `run_part`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.chats import together
from llmspell_kernel.services.agents.composite import COMPOSITE
from llmspell_kernel.services.agents.turn_result import OnChunk, TurnResult, has_answer
from llmspell_protocol.areas.agent import AgentExecute
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelError
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatResult, Timings, Usage


class RunPart(Protocol):
    """Runs a member's turn as part of a request (`AgentRuns.run_part`)."""

    def __call__(
        self, request: Request, agent: Agent, wanted: AgentExecute, on_chunk: OnChunk, *, apart: bool = False
    ) -> Awaitable[TurnResult]:
        """One turn."""


async def answer_of(
    agent: Agent, wanted: AgentExecute, request: Request, run_part: RunPart, contexts: Contexts, on_chunk: OnChunk
) -> TurnResult:
    """A composite's answer; deltas are those of the last of a sequence, else the answer in one.

    Raises:
        ModelError: there was no majority, and no fallback.
        LlmspellError: what a member raises, where there is no fallback.
    """
    whole = _Whole(agent, wanted, request, run_part, contexts, on_chunk)
    try:
        return await whole.answer()
    except LlmspellError:
        if whole.composite.fallback is None:
            raise
        return await whole.run(whole.composite.fallback, wanted.input, on_chunk)


class _Whole:
    def __init__(
        self,
        agent: Agent,
        wanted: AgentExecute,
        request: Request,
        run_part: RunPart,
        contexts: Contexts,
        on_chunk: OnChunk,
    ) -> None:
        assert agent.composite is not None
        self.composite = agent.composite
        self._agent = agent
        self._wanted = wanted
        self._request = request
        self._run_part = run_part
        self._contexts = contexts
        self._on_chunk = on_chunk

    async def answer(self) -> TurnResult:
        strategy = self.composite.strategy
        if strategy == "sequential":
            return await self._in_sequence()
        if strategy == "custom":
            return await self._by_function()
        if strategy == "parallel":
            turns = await self._all()
            text = "\n\n".join(_text(turn) for turn in turns)
        else:
            turns = await self._voters()
            text = self._elected(turns)
        self._on_chunk(ChatChunk(text=text))
        return _joined(turns, text)

    async def run(self, member: Agent, text: str, on_chunk: OnChunk) -> TurnResult:
        return await self._run_part(self._request, member, replace(self._wanted, input=text), on_chunk)

    async def _in_sequence(self) -> TurnResult:
        turns: list[TurnResult] = []
        text = self._wanted.input
        for number, member in enumerate(self.composite.members, 1):
            is_last = number == len(self.composite.members)
            turns.append(await self.run(member, text, self._on_chunk if is_last else self._without_text))
            text = _text(turns[-1])
            if not has_answer(turns[-1].limit):
                break
        return _joined(turns, text)

    async def _all(self) -> Sequence[TurnResult]:
        """The turns of all members; the first that fails ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                turns = [group.create_task(self._asked(member)) for member in self.composite.members]
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None
        return [turn.result() for turn in turns]

    async def _voters(self) -> Sequence[TurnResult]:
        """The turns of those members that have an answer; where none has, the first failure is raised."""
        failures: list[LlmspellError] = []

        async def vote(member: Agent) -> TurnResult | None:
            try:
                return await self._asked(member)
            except LlmspellError as error:
                failures.append(error)
                return None

        try:
            async with asyncio.TaskGroup() as group:
                votes = [group.create_task(vote(member)) for member in self.composite.members]
        except ExceptionGroup as defects:
            raise defects.exceptions[0] from None
        turns = [turn for one in votes if (turn := one.result()) is not None]
        if not turns:
            raise failures[0]
        return turns

    async def _asked(self, member: Agent) -> TurnResult:
        return await self.run(member, self._wanted.input, self._without_text)

    def _elected(self, turns: Sequence[TurnResult]) -> str:
        votes = Counter(_text(turn).strip().casefold() for turn in turns)
        ranked = votes.most_common(2)
        best, count = ranked[0]
        needed = self.composite.threshold
        is_tied = len(ranked) == 2 and ranked[1][1] == count
        if needed is not None and count / len(self.composite.members) < needed:
            raise ModelError(
                f"no answer of agent '{self._agent.name}' has {needed:g} of the votes",
                hint="give it a fallback_agent, or a smaller threshold",
                details={"votes": dict(votes)},
            )
        if is_tied and self.composite.fallback is not None:
            raise ModelError(f"the votes of agent '{self._agent.name}' are tied", details={"votes": dict(votes)})
        return next(_text(turn) for turn in turns if _text(turn).strip().casefold() == best)

    async def _by_function(self) -> TurnResult:
        assert self.composite.function is not None
        names = [member.name for member in self.composite.members]
        said = await self._contexts.invoke(
            self._request, self.composite.function, [self._wanted.input, names], lambda _stream, _text: None
        )
        text = said.get("text") if isinstance(said, Mapping) else said
        if not isinstance(text, str):
            raise InvalidRequest(f"the function of agent '{self._agent.name}' returned no text")
        self._on_chunk(ChatChunk(text=text))
        return _joined((), text)

    def _without_text(self, chunk: ChatChunk) -> None:
        self._on_chunk(replace(chunk, text="", reasoning="", tool_calls=()))


def _text(turn: TurnResult) -> str:
    return turn.result.message.content


def _joined(turns: Sequence[TurnResult], text: str) -> TurnResult:
    message = ChatMessage(role="assistant", content=text)
    result: Any = together([turn.result for turn in turns]) if turns else _NOTHING
    return TurnResult(
        result=replace(result, message=message),
        tool_calls=[call for turn in turns for call in turn.tool_calls],
        tool_mode=next((turn.tool_mode for turn in turns if turn.tool_mode is not None), None),
        limit=next((turn.limit for turn in turns if turn.limit is not None), None),
        dropped=sum(turn.dropped for turn in turns),
        summarized=any(turn.summarized for turn in turns),
    )


_NOTHING = ChatResult(
    message=ChatMessage(role="assistant"),
    finish_reason="stop",
    usage=Usage(),
    timings=Timings(),
    model=COMPOSITE,
    backend=COMPOSITE,
)
