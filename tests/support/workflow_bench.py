"""Workflows over tools that do what a test says, on a loop whose clock jumps: no process, no file, no waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.tools.invocation import plain_reply
from llmspell_kernel.services.workflows.service import WorkflowsService
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem
from llmspell_protocol.errors import ToolNotFound
from tests.support.recording_sink import RecordingSink

Act = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Failing(Exception):
    """The operation says no."""


class TimedTools:
    """Tools by name. `begun` lists `(time, name of the step)` of each call, `running` counts what is under way."""

    def __init__(self) -> None:
        self.acts: dict[str, Act] = {}
        self.begun: list[tuple[float, str]] = []
        self.running = 0
        self.most_running = 0

    def permissions(self, request: Request) -> None:
        """None are looked at."""

    async def invoke(
        self, request: Request, name: str, arguments: Mapping[str, Any], permissions: None, *, on_progress: object
    ) -> ToolInvokeReply:
        """Does what the test said."""
        if name not in self.acts:
            raise ToolNotFound(f"Tool '{name}' not found")
        self.begun.append((asyncio.get_running_loop().time(), str(arguments.get("step", name))))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        output, problem = None, None
        try:
            output = await self.acts[name](arguments)
        except Failing as said:
            problem = ToolProblem(message=str(said), code="failed")
        finally:
            self.running -= 1
        return plain_reply(
            name, result=output, output=output, text=str(output), problem=problem, began=time.monotonic()
        )


class NoState:
    """A State without entries; `written` keeps what workflows write."""

    def __init__(self) -> None:
        self.entries: dict[str, Any] = {}
        self.written: dict[str, Any] = {}

    async def get(self, request: Request, scope: str, key: str) -> tuple[bool, Any]:
        """What the test put there."""
        return key in self.entries, self.entries.get(key)

    async def set(self, request: Request, scope: str, values: Any) -> str | None:
        """Keeps it."""
        self.written.update(values)
        return None


class WorkflowBench:
    """A workflows service, its tools, and a request that runs workflows."""

    def __init__(self, home: Path = Path("/nowhere")) -> None:
        settings = Settings()
        contexts = Contexts(lambda: settings, _refuse, None)
        hooks = HooksService(lambda: settings, contexts)
        self.tools = TimedTools()
        self.state = NoState()
        nothing: Any = None
        tools: Any = self.tools
        self.service = WorkflowsService(
            contexts=contexts,
            tools=lambda: tools,
            agents=nothing,
            agent_runs=nothing,
            entries=self.state,
            events=EventsService(lambda: settings, contexts, hooks, environment={}),
            hooks=hooks,
            home=home,
        )
        self.sink = RecordingSink()
        self.request = Request("1", "workflow_request", {"action": "execute"}, Caller("c", "s"), self.sink)

    async def execute(self, definition: Mapping[str, Any], given: Any = None) -> dict[str, Any]:
        """The result of a definition."""
        made = self.service.made_for_once(self.request, definition)
        return (await self.service.execute(self.request, made, given, progress=True))[1]

    @property
    def told(self) -> list[tuple[str, str]]:
        """The progress so far: event and the last name of its path."""
        return [
            (content["event"], content["path"][-1] if content["path"] else "")
            for kind, content in self.sink.sent
            if kind == "progress"
        ]


def _refuse(request: Request) -> Any:
    raise AssertionError(request)
