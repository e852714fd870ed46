"""A harness whose scripts give functions, called as handlers of other requests would call them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from llmspell_kernel.request import Caller, Content, Request
from llmspell_kernel.scripting.contexts import ScriptFunction
from tests.support.offering_worker import OFFERING
from tests.support.script_harness import Frontend, ScriptHarness, run

GIVE = "request('model_request', {action = 'give', fn = offer(%s)})"


class Bench:
    """A harness whose scripts give functions (`GIVE`), which the test calls as handlers of other requests would."""

    def __init__(self, scripts: ScriptHarness) -> None:
        self.scripts = scripts
        self.given: list[ScriptFunction] = []
        self.output: list[str] = []
        scripts.answers["model give"] = self._take

    async def _take(self, request: Request) -> Content:
        self.given.append(self.scripts.contexts.function(request, request.content["fn"]))
        return {}

    async def offered(self, function: str, **options: Any) -> ScriptFunction:
        """A function that a cell has offered, the cell having ended."""
        shown = await self.scripts.cell(GIVE % function, **options)
        assert shown.replies[0]["status"] == "ok", shown.replies[0]
        return self.given[-1]

    async def call(self, function: ScriptFunction, *arguments: Any, request: Request | None = None) -> Any:
        """What the function gives for a request."""
        asked_for = request or asking()
        return await self.scripts.contexts.invoke(asked_for, function, arguments, self._printed)

    def start(self, function: ScriptFunction, *arguments: Any, request: Request | None = None) -> asyncio.Task[Any]:
        """The same as the task of the request."""
        asked_for = request or asking()
        task = asyncio.create_task(self.call(function, *arguments, request=asked_for))
        asked_for.task = task
        return task

    def _printed(self, stream: str, text: str) -> None:
        self.output.append(f"{stream}: {text}")


def asking(*, parent: Request | None = None, rights: Sequence[Any] = ("infer", "load", "pull", "execute")) -> Request:
    """A request that a function is called for."""
    caller = Caller(client="other", session="other", capabilities=frozenset(rights))
    return Request(
        id="asking", msg_type="model_request", content={"action": "chat"}, caller=caller, sink=Frontend(), parent=parent
    )


def bench(body: Callable[[Bench], Awaitable[None]], **settings: Any) -> None:
    """Runs a test's body with such a harness."""

    async def with_bench(scripts: ScriptHarness) -> None:
        async with asyncio.timeout(60):
            await body(Bench(scripts))

    run(with_bench, engine=OFFERING, **settings)


class Gate:
    """An answer that comes when the test lets it; it tells that it was asked, and that it was cancelled."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.open = asyncio.Event()
        self.cancelled = 0
        self._asked = asyncio.Event()

    async def __call__(self, request: Request) -> Content:
        self.requests.append(request)
        self._asked.set()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {"models": []}

    async def asked(self, times: int = 1) -> None:
        """Waits until so many have asked."""
        while len(self.requests) < times:
            self._asked.clear()
            await self._asked.wait()
