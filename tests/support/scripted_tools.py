"""A toolbox whose tools do what a test tells them to, when the test lets them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llmspell_kernel.services.agents.toolbox import Do
from llmspell_kernel.services.tools.asking import AskingTime
from llmspell_kernel.services.tools.invocation import plain_reply
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem
from llmspell_protocol.errors import ToolNotFound
from llmspell_protocol.tools.description import Level, ToolDescription

Act = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Refused(Exception):
    """The operation itself says no."""


class ScriptedTools:
    """Tools by name; `answers` are a person's, `None` where there is no person.

    `calls` lists what was called, `running` counts what is under way and `ended` those that were cancelled. `begun` is
    released with each call: acquire it to wait for one.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.questions: list[str] = []
        self.answers: list[str | None] = []
        self.approval = "never"
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self.begun = asyncio.Semaphore(0)
        self.asking_tools: dict[str, Callable[[], Awaitable[None]]] = {}
        """What these tools wait for within a person's time."""
        self._tools: dict[str, tuple[ToolDescription, Act]] = {}

    def add(
        self,
        name: str,
        act: Act,
        *,
        properties: Mapping[str, Any] | None = None,
        level: Level = "safe",
        source: str = "builtin",
    ) -> None:
        """A tool whose parameters are all required."""
        parameters = {"type": "object", "properties": dict(properties or {}), "required": list(properties or {})}
        description = ToolDescription(
            name=name,
            description=f"Does {name}.",
            category="utility",
            security_level=level,
            parameters=parameters,
            source=source,
        )
        self._tools[name] = description, act

    async def find(self, name: str) -> ToolDescription:
        """The tool of this name."""
        if name not in self._tools:
            raise ToolNotFound(f"Tool '{name}' not found")
        return self._tools[name][0]

    def needs_word(self, tool: ToolDescription) -> bool:
        """As the setting."""
        return self.approval == "always" or (self.approval == "restricted" and tool.security_level != "safe")

    async def ask(self, question: str) -> str | None:
        """The next of the prepared answers."""
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else None

    async def around(self, tool: ToolDescription, arguments: Mapping[str, Any], do: Do) -> ToolInvokeReply:
        """As `do`."""
        return await do(self, arguments)

    async def invoke(
        self, tool: ToolDescription, arguments: Mapping[str, Any], *, asking: AskingTime
    ) -> ToolInvokeReply:
        """Does what the test said; a tool of `asking_tools` asks the person first."""
        if tool.name in self.asking_tools:
            async with asking():
                await self.asking_tools[tool.name]()
        self.calls.append((tool.name, dict(arguments)))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.begun.release()
        result, problem = None, None
        try:
            result = await self._tools[tool.name][1](arguments)
        except Refused as refusal:
            problem = ToolProblem(message=str(refusal), code="failed")
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return plain_reply(
            tool.name, result=result, output=result, text=str(result), problem=problem, began=time.monotonic()
        )
