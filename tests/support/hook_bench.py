"""The services of hooks and events over real script contexts, without a kernel around them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.hook import Hook, Occasion
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.verdict import Verdict, read_verdict
from llmspell_profiles.schema.settings import Settings
from tests.support.recording_sink import RecordingSink

CALCULATOR = Component("tool", "calculator")


def no_requests(request: Request) -> NoReturn:
    """No script runs here."""
    raise AssertionError(request.shown)


def settings_of(**tables: Any) -> Settings:
    """Settings with these tables."""
    return Settings.check(dict(tables))


class HookBench:
    """Both services; hooks here are functions of Python's that return what a script's would."""

    def __init__(self, settings: Settings | None = None, environment: Mapping[str, str] | None = None) -> None:
        self.settings = settings or Settings()
        contexts = Contexts(lambda: self.settings, no_requests, None)
        self.services = HooksService(lambda: self.settings, contexts)
        self.hooks = self.services.registry
        self.event_service = EventsService(
            lambda: self.settings, contexts, self.services, environment=environment or {}
        )
        self.events = self.event_service.bus
        self.told: list[str] = []
        self.occasions: list[Occasion] = []

    def hook(
        self,
        point: str,
        said: Any = None,
        *,
        priority: str = "normal",
        context: str | None = None,
        act: Callable[[Occasion], Awaitable[Any]] | None = None,
    ) -> Hook:
        """Registers a hook that says this, or what `act` gives."""

        async def call(occasion: Occasion, on_begin: Callable[[], None]) -> Verdict:
            on_begin()
            self.occasions.append(occasion)
            return read_verdict(said if act is None else await act(occasion), occasion.data)

        hook = Hook(
            id=f"hook-{len(self.told)}",
            name="test",
            point=point,
            priority=priority,
            context=context,
            key_id="conn",
            call=call,
            tell=self.told.append,
            release=lambda: None,
        )
        self.hooks.add(hook)
        return hook

    @property
    def points(self) -> list[str]:
        """Where hooks were called, in order."""
        return [occasion.point for occasion in self.occasions]


def asked(
    *, client: str = "client-1", key: str = "conn", context: str | None = None, parent: Request | None = None
) -> Request:
    """A request of a client's, or of a script's."""
    kind: Any = "client" if context is None else "script"
    caller = Caller(client=context or client, session="s", kind=kind, key_id=key, context=context)
    return Request(id="1", msg_type="tool_request", content={}, caller=caller, sink=RecordingSink(), parent=parent)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """Runs a scene on a loop of its own."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scene()

    asyncio.run(bounded())
