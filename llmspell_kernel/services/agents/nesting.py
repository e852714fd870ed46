"""Which turns wait for which: how deep agents call agents, and that none waits for itself.

A turn that an agent's tool, a composite or a script's function asks for is part of another; the requests' parents tell
which. Knows requests and agents, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from llmspell_kernel.parts import PartSink, part_of
from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.agent import Agent
from llmspell_protocol.errors import InvalidRequest, ToolError


class Nesting(NamedTuple):
    """A turn among those that it is part of."""

    waiting: frozenset[str] = frozenset()
    """Ids of agents whose conversation waits for this turn."""
    levels: int | None = None
    """How many more levels there may be below it; None: nothing has said yet."""


class Nestings:
    """The turns under way, by their requests; belongs to the loop."""

    def __init__(self) -> None:
        self._by_request: dict[Request, Nesting] = {}

    @contextmanager
    def enter(self, request: Request, agent: Agent, *, apart: bool) -> Iterator[None]:
        """Around a turn of an agent; `apart`: it neither waits for the agent's other turns nor delays them.

        Raises:
            ToolError: it would be deeper than an agent above it allows (`details{limit}`).
            InvalidRequest: the agent's own turn waits for this one.
        """
        outer = self._outer(request)
        levels = agent.max_recursion_depth if outer.levels is None else min(outer.levels - 1, agent.max_recursion_depth)
        if levels < 0:
            raise ToolError(
                f"agent '{agent.name}' is not called: agents call each other deeper than max_recursion_depth allows",
                details={"limit": "max_recursion_depth", "agent": agent.name},
            )
        if not apart and agent.id in outer.waiting:
            raise InvalidRequest(
                f"agent '{agent.name}' can't answer within a turn of its own",
                hint="use another agent, or call it as a tool: that is a conversation apart",
                details={"agent": agent.name},
            )
        self._by_request[request] = Nesting(outer.waiting if apart else outer.waiting | {agent.id}, levels)
        try:
            yield
        finally:
            del self._by_request[request]

    def _outer(self, request: Request) -> Nesting:
        above = request.parent
        while above is not None:
            if above in self._by_request:
                return self._by_request[above]
            above = above.parent
        return Nesting()


def turn_within(request: Request, agent: Agent, text: str) -> AbstractContextManager[Request]:
    """A request for a turn that is part of `request`, with what the agent is asked."""
    return part_of(
        request,
        {"action": "execute", "agent": agent.name, "input": text},
        msg_type="agent_request",
        sink=PartSink(request),
    )
