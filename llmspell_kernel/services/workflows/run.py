"""One execution: for which request, with which services, and what all its levels share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from llmspell_kernel.parts import SilentSink, followed, is_followed, part_of
from llmspell_kernel.request import Content, Request
from llmspell_kernel.services.agents.agent import Agent
from llmspell_kernel.services.agents.runs import AgentRuns
from llmspell_kernel.services.agents.service import AgentsService
from llmspell_kernel.services.tools.service import ToolsService
from llmspell_kernel.services.weight import Budget
from llmspell_kernel.services.workflows.definition import Definition
from llmspell_kernel.services.workflows.expressions import Expressions
from llmspell_kernel.services.workflows.functions import Functions
from llmspell_kernel.services.workflows.journal import Journal
from llmspell_kernel.services.workflows.pace import Pace
from llmspell_kernel.services.workflows.watching import Watching

MAX_WARNINGS = 100
KEPT_BYTES = 16 * 1024 * 1024
"""Outputs of rounds that one execution keeps for its result; each step's last output is always there."""

Found = tuple[bool, Any]


class Kept(Protocol):
    """A workflow that is kept, as an execution needs it."""

    @property
    def definition(self) -> Definition:
        """What it is made of."""

    @property
    def shared(self) -> dict[str, Any]:
        """Its shared data; an execution changes them."""


class Entries(Protocol):
    """The State that outlives the execution, as far as workflows read and write it."""

    async def get(self, request: Request, scope: str, key: str) -> Found:
        """A value of the caller's."""

    async def set(self, request: Request, scope: str, values: Sequence[tuple[str, Any]]) -> str | None:
        """Writes values; returns why not, where they couldn't be."""


class Around(NamedTuple):
    """The services that steps call."""

    tools: ToolsService
    agents: AgentsService
    agent_runs: AgentRuns
    entries: Entries
    find_workflow: Callable[[str], Kept]
    sleep: Callable[[float], Any] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform


class Run:
    """One execution of a workflow, with those that are nested in it."""

    def __init__(
        self,
        id: str,
        request: Request,
        around: Around,
        *,
        functions: Functions,
        expressions: Expressions,
        journal: Journal,
        watching: Watching,
    ) -> None:
        self.id = id
        self.request = request
        self.tools = around.tools
        self.agents = around.agents
        self.agent_runs = around.agent_runs
        self.find_workflow = around.find_workflow
        self.sleep = around.sleep
        self.uniform = around.uniform
        self.functions = functions
        self.expressions = expressions
        self.journal = journal
        self.watching = watching
        self.agent_outputs: dict[str, str] = {}
        self.made_agents: dict[str, Agent] = {}
        self.warnings: list[str] = []
        self.budget = Budget(KEPT_BYTES)
        self.pace = Pace()
        self._entries = around.entries
        self._unwritten: list[tuple[str, Any]] = []
        self._unsaid = 0

    def warn(self, text: str) -> None:
        """Something that the result tells of; each once."""
        if text in self.warnings:
            return
        if len(self.warnings) >= MAX_WARNINGS:
            self._unsaid += 1
            return
        self.warnings.append(text)

    def all_warnings(self) -> list[str]:
        """What the result tells of; how many more there were, last."""
        return [*self.warnings, *([f"{self._unsaid} more warnings"] if self._unsaid else [])]

    def keep(self, key: str, value: Any) -> None:
        """Notes a value that scripts find after the run, in the scope `workflow:ID` of State; `write` writes it."""
        self._unwritten.append((key, value))

    async def write(self) -> None:
        """Writes what is to be kept."""
        values, self._unwritten = self._unwritten, []
        answers = self.request.answers
        if not values or (answers is not None and answers.only_recorded):
            return
        problem = await self._entries.set(self.request, f"workflow:{self.id}", values)
        if problem is not None:
            names = ", ".join(f"'{key}'" for key, _ in values)
            self.warn(f"State has no {names} of this run: {problem}")

    async def state_value(self, key: str) -> Found:
        """A value of the global State."""
        request = self.request
        if not is_followed(request):
            return await self._entries.get(request, "global", key)
        with part_of(
            request,
            {"action": "get", "scope": "global", "key": key},
            msg_type="state_request",
            sink=SilentSink(),
        ) as part:

            async def work(content: Content) -> Found:
                return await self._entries.get(request, str(content["scope"]), str(content["key"]))

            return await followed(
                part,
                work,
                shown=lambda found: {"found": found[0], "value": found[1]},
                made=lambda content: (bool(content["found"]), content["value"]),
            )

    # What placeholders ask (`placeholders.Sources`)

    async def pause(self) -> None:
        """Gives way to what else waits for the loop, now and then."""
        await self.pace.pause()

    async def state(self, key: str) -> Found:
        """As `state_value`."""
        return await self.state_value(key)

    async def evaluate(self, expression: str, variables: Mapping[str, Any]) -> Any:
        """The value of a Lua expression."""
        return await self.expressions.value(expression, variables)

    async def close(self) -> None:
        """Ends what the execution has made for itself."""
        for agent in self.made_agents.values():
            self.agents.delete(agent)
        await self.expressions.close()
