"""Hooks of scripts and of the configuration, for the services whose work is hooked.

How a service has its work hooked:

    result = await self._hooks.around(
        request,
        HookedWork(
            before="BeforeToolExecution", after="AfterToolExecution", error="ToolError",
            component=Component("tool", name),
            data={"tool_name": name, "parameters": arguments},
            work=lambda data: self._do(data["parameters"]),
            …,
        ),
    )

and a point without work around it:

    verdict = await self._hooks.run("SessionSave", request, component=Component("session", id), data={…})
    verdict.demand_not_cancelled("SessionSave")

Where no hook is registered, either is one look, and nothing of what hooks need is imported. Who has to prepare
something costly for the data asks `registered(point, request)` first. A hook that hangs, raises or dies is told,
counted and ignored: neither call raises anything but `Forbidden` (a hook cancelled the work) and what the work itself
raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.work import HookedWork

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts
    from llmspell_kernel.services.hooks.doing import CheckVerdict
    from llmspell_kernel.services.hooks.hook import Hook, Occasion
    from llmspell_kernel.services.hooks.registry import HookRegistry
    from llmspell_kernel.services.hooks.verdict import Verdict
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.errors import LlmspellError

T = TypeVar("T")


class HooksService:
    """The hooks of a kernel; belongs to the loop."""

    def __init__(self, settings: Callable[[], Settings], contexts: Contexts) -> None:
        self._settings = settings
        self._contexts = contexts
        self._made: HookRegistry | None = None
        self.on_call: Callable[[Occasion, Hook, Verdict], None] | None = None
        """Hears of each call that gave a verdict."""
        self._configure(settings())

    @cached_property
    def registry(self) -> HookRegistry:
        """Who has registered what; made with the first hook."""
        from llmspell_kernel.services.hooks.registry import HookRegistry

        self._made = HookRegistry(self._settings, self._contexts, self._called)
        return self._made

    def registered(self, point: str, request: Request | None) -> bool:
        """Whether a hook would be called at this point for this request."""
        return self._made is not None and self._made.registered(point, request)

    async def run(
        self,
        point: str,
        request: Request | None,
        *,
        component: Component,
        data: Mapping[str, Any],
        awaited: bool = True,
        check: CheckVerdict | None = None,
    ) -> Verdict:
        """Calls the hooks of a point one after the other, as `HookRegistry.run`; `awaited` as in `Occasion`."""
        if self._made is None:
            # Named tuples take time to be made, and most kernels have no hook.
            from llmspell_kernel.services.hooks.verdict import Verdict

            return Verdict("continue", data)
        return await self._made.run(_occasion(point, request, component, data, awaited), check)

    async def around(self, request: Request, hooked: HookedWork[T]) -> T:
        """Does work with the hooks of the three points around it; see above.

        Raises:
            Forbidden: a hook has cancelled it.
            LlmspellError: what the work raises, and no hook of `error` has put something in its place.
        """
        if self._made is None:
            return await hooked.work(hooked.data)
        return await self._made.around(request, hooked)

    def notify(
        self, point: str, request: Request | None, *, component: Component, data: Mapping[str, Any]
    ) -> asyncio.Task[Any] | None:
        """Calls the hooks of a point in the background; what they say changes nothing. None: there is no hook."""
        if self._made is None:
            return None
        return self._made.notify(_occasion(point, request, component, data, False))

    async def tell(
        self,
        point: str,
        request: Request | None,
        *,
        component: Component,
        data: Mapping[str, Any],
        awaited: bool = True,
    ) -> None:
        """The same, and waits until they have been called; a point of the kernel itself has no request.

        Where the request itself does not wait for that (`awaited`), it may end meanwhile, and hooks have none of its
        grants.
        """
        if self._made is not None:
            await self._made.tell(_occasion(point, request, component, data, awaited))

    async def failed(self, request: Request, error: LlmspellError) -> None:
        """Tells of a failure that is a limit that was reached, or something that was refused; once each."""
        if self._made is not None:
            await self._made.failed(request, error)

    def forget(self, owner: str) -> None:
        """A script context has ended, and its hooks with it."""
        if self._made is not None:
            self._made.forget(owner)

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Puts the built-in hooks that the settings name in the place of those before."""
        del running
        self._configure(settings)

    async def close(self) -> None:
        """Waits for what is being told; the time limits of the hooks bound it."""
        if self._made is not None:
            await self._made.close()

    def _configure(self, settings: Settings) -> None:
        # A configuration without the table has no built-in hooks, and most have none.
        if self._made is not None or "hooks" in settings.given:
            self.registry.configure(settings)

    def _called(self, occasion: Occasion, hook: Hook, verdict: Verdict) -> None:
        if self.on_call is not None:
            self.on_call(occasion, hook, verdict)


def _occasion(
    point: str, request: Request | None, component: Component, data: Mapping[str, Any], awaited: bool
) -> Occasion:
    # Only a kernel with hooks has one, and the registry has it imported.
    from llmspell_kernel.services.hooks.hook import Occasion

    return Occasion(point, request, component, data, awaited=awaited)
