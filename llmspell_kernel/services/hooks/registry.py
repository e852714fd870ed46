"""Which hooks there are, which of them a request's work has, how they are called, and that what they say is done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.correlation import new_id
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.doing import CheckVerdict, Doing
from llmspell_kernel.services.hooks.hook import Hook, Occasion
from llmspell_kernel.services.hooks.points import POINTS, PRIORITIES, SYSTEM_POINTS, demand_point, demand_priority
from llmspell_kernel.services.hooks.script_hook import ScriptHook
from llmspell_kernel.services.hooks.verdict import NoVerdict, Verdict
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, NotFound, OutOfMemory, ScriptLimit

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
    from llmspell_kernel.services.hooks.builtin.made import BuiltinHooks
    from llmspell_profiles.schema.hooks import HooksSettings
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.areas.hook import HookRegister

log = logging.getLogger(__name__)

T = TypeVar("T")


class HookRegistry:
    """All hooks of a kernel; belongs to the loop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        contexts: Contexts,
        on_call: Callable[[Occasion, Hook, Verdict], None],
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._on_call = on_call
        self._by_point: dict[str, tuple[Hook, ...]] = {}
        self._by_context: dict[str, dict[str, Hook]] = {}
        self._within: set[Request] = set()
        """The requests for which hooks of scripts are being called."""
        self._tellings: set[asyncio.Task[Any]] = set()
        self._failures: WeakSet[LlmspellError] = WeakSet()
        """Failures that were told, on their way up."""
        self._is_off = False
        """Whether the settings have switched hooks off."""
        self._wanted: HooksSettings | None = None
        self._builtin: BuiltinHooks | None = None

    # At the points

    def registered(self, point: str, request: Request | None) -> bool:
        """Whether a hook would be called at this point for this request."""
        return point in self._by_point and bool(self._matching(point, request))

    async def run(self, occasion: Occasion, check: CheckVerdict | None = None) -> Verdict:
        """Calls the hooks of a point one after the other, the highest priority first.

        The first that says more than how the data is to be changed has the last word; one whose word `check` refuses
        has failed.
        """
        if occasion.point not in self._by_point:
            return Verdict("continue", occasion.data)
        is_modified = False
        for hook in self._matching(occasion.point, occasion.request):
            verdict = await self._called(hook, occasion, check)
            if verdict.kind not in ("continue", "modified"):
                return verdict
            is_modified = is_modified or verdict.kind == "modified"
            occasion = occasion._replace(data=verdict.data)
        return Verdict("modified" if is_modified else "continue", occasion.data)

    async def around(self, request: Request, hooked: HookedWork[T]) -> T:
        """Does work with the hooks of the three points around it, as `Doing.done`."""
        points = (hooked.before, hooked.after, hooked.error)
        if not any(self.registered(point, request) for point in points if point is not None):
            return await hooked.work(hooked.data)
        return await Doing(self, request, hooked).done()

    def notify(self, occasion: Occasion) -> asyncio.Task[Any] | None:
        """Calls the hooks of a point in the background; what they say changes nothing. None: there is no hook."""
        if not self.registered(occasion.point, occasion.request):
            return None
        return self._in_background(self.tell(occasion))

    async def tell(self, occasion: Occasion) -> None:
        """The same, and waits until they have been called; a point of the kernel itself has no request."""
        matching = self._matching(occasion.point, occasion.request)
        if occasion.request is not None:
            for hook in matching:
                await self._called(hook, occasion)
            return
        # A hook of a script that is busy may have to wait for all of its time: they wait together.
        await asyncio.gather(*(self._called(hook, occasion) for hook in matching))

    async def failed(self, request: Request, error: LlmspellError) -> None:
        """Tells of a failure that is a limit that was reached, or something that was refused; once each.

        What a hook has refused itself is neither.
        """
        if isinstance(error, Forbidden):
            point = "SecurityViolation"
        elif isinstance(error, (ScriptLimit, OutOfMemory)):
            point = "ResourceLimitExceeded"
        else:
            return
        if "hook" in error.details or error in self._failures or not self.registered(point, request):
            return
        self._failures.add(error)
        name = next((str(request.content[key]) for key in ("tool", "agent", "model") if key in request.content), "")
        kind = request.msg_type.removesuffix("_request")
        data = {"error": error.message, "code": error.code, "request": request.shown, "details": dict(error.details)}
        await self.tell(Occasion(point, request, Component(kind, name), data))

    # Who has registered what

    def register(self, wanted: HookRegister, function: ScriptFunction, request: Request) -> Hook:
        """Has a script's function called at a point of the script's work, until it is taken back or the script ends.

        Raises:
            InvalidRequest: there is no such point or priority, or the script has `hooks.max_hooks` hooks.
            Unsupported: the point is never reached.
            Forbidden: hooks are switched off.
        """
        settings = self._settings().hooks
        if not settings.enabled:
            raise Forbidden(
                "hooks are switched off", hint="set hooks.enabled = true", details={"setting": "hooks.enabled"}
            )
        point, priority = demand_point(wanted.point), demand_priority(wanted.priority)
        own = self._by_context.setdefault(function.context, {})
        if len(own) >= settings.max_hooks:
            raise InvalidRequest(
                f"there are {len(own)} hooks of this script already (hooks.max_hooks)",
                hint="unregister those that are no longer needed",
                details={"max_hooks": settings.max_hooks},
            )
        caller = ScriptHook(self._contexts, function, request, self._within)
        hook = Hook(
            id=new_id(),
            name=wanted.name or f"{point}_{len(own) + 1}",
            point=point,
            priority=priority,
            context=function.context,
            key_id=request.caller.key_id,
            call=caller.call,
            tell=caller.tell,
            release=lambda: self._contexts.release(function),
            tags=tuple(wanted.tags),
            description=wanted.description,
        )
        own[hook.id] = hook
        self.add(hook)
        if point == "SystemStartup":
            # The kernel has started before there could be a script: the hook hears of it now.
            self._in_background(self._called(hook, Occasion(point, None, Component("system", "kernel"), {})))
        return hook

    def unregister(self, id: str, context: str) -> bool:
        """Takes back a hook of a context's; whether there was one."""
        hook = self._by_context.get(context, {}).pop(id, None)
        if hook is None:
            return False
        self._take_out(hook)
        hook.release()
        return True

    def list(self, caller: Caller) -> Sequence[Hook]:
        """The hooks of the configuration, and those of the caller's script; a client's own: of all scripts of its key.

        In the order in which they would be called, by point.
        """
        return [
            hook
            for point in (*POINTS, *sorted(self._by_point.keys() - {*POINTS}))
            for hook in self._by_point.get(point, ())
            if hook.context is None
            or hook.context == caller.context
            or (caller.context is None and hook.key_id == caller.key_id)
        ]

    def figures(self, key_id: str) -> Mapping[str, Mapping[str, Any]]:
        """What the built-in hooks have counted, by name; names of components and models are those of a key."""
        return {} if self._builtin is None else self._builtin.figures(key_id)

    async def close(self) -> None:
        """Waits for what is being told; the time limits of the hooks bound it."""
        if self._tellings:
            await asyncio.wait(set(self._tellings))

    def forget(self, owner: str) -> None:
        """A script context has ended, and its hooks with it."""
        for hook in self._by_context.pop(owner, {}).values():
            self._take_out(hook)

    def configure(self, settings: Settings) -> None:
        """Puts the built-in hooks that the settings name in the place of those before."""
        wanted = settings.hooks if "hooks" in settings.given else None
        self._is_off = wanted is not None and not wanted.enabled
        if wanted == self._wanted:
            return
        self._wanted = wanted
        for hook in () if self._builtin is None else self._builtin.hooks:
            self._take_out(hook)
        self._builtin = None
        if wanted is not None and wanted.enabled and wanted.builtin:
            from llmspell_kernel.services.hooks.builtin.made import BuiltinHooks

            self._builtin = BuiltinHooks(wanted)
            for hook in self._builtin.hooks:
                self.add(hook)

    def _in_background(self, calls: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        telling = of_no_request(asyncio.get_running_loop().create_task, calls)
        self._tellings.add(telling)
        telling.add_done_callback(self._tellings.discard)
        return telling

    def add(self, hook: Hook) -> None:
        """Has a hook called at its point from here on."""
        hooks = [*self._by_point.get(hook.point, ()), hook]
        # Those of the configuration come first among equals; a sort keeps the order of registration.
        self._by_point[hook.point] = tuple(
            sorted(hooks, key=lambda one: (PRIORITIES[one.priority], one.context is not None))
        )

    def _take_out(self, hook: Hook) -> None:
        left = tuple(one for one in self._by_point.get(hook.point, ()) if one is not hook)
        if left:
            self._by_point[hook.point] = left
        else:
            self._by_point.pop(hook.point, None)

    # Calls

    async def _called(self, hook: Hook, occasion: Occasion, check: CheckVerdict | None = None) -> Verdict:
        """One call: its verdict, or `continue` where it has failed."""
        settings = self._settings().hooks
        unchanged = Verdict("continue", occasion.data)
        if settings.rate_limit_per_minute is not None and not hook.admits(settings.rate_limit_per_minute):
            return unchanged
        limit_s = settings.timeout_ms / 1000
        clock = asyncio.get_running_loop().time
        # A script's function waits for its turn in the script first; that is not its own time. Where no work waits for
        # it, its turn may never come.
        waits = hook.context is not None and occasion.request is not None
        began = time.perf_counter()
        try:
            async with asyncio.timeout(None if waits else limit_s) as limit:
                verdict = await hook.call(occasion, lambda: _begin(limit, clock() + limit_s))
            if check is not None:
                check(verdict)
        except TimeoutError:
            hook.failed(f"it took longer than {settings.timeout_ms} ms (hooks.timeout_ms)")
        except NotFound:
            pass  # Its script has ended meanwhile.
        except (LlmspellError, NoVerdict) as problem:
            hook.failed(str(problem))
        except Exception as defect:
            log.exception("hook %s at %s", hook.name, hook.point)
            hook.failed(f"{type(defect).__name__}: {defect}")
        else:
            hook.succeeded((time.perf_counter() - began) * 1000)
            self._on_call(occasion, hook, verdict)
            return verdict._replace(by=hook.name)
        return unchanged

    def _matching(self, point: str, request: Request | None) -> Sequence[Hook]:
        if self._is_off:
            return ()
        found = [hook for hook in self._by_point.get(point, ()) if not hook.is_off]
        if request is None:
            # What belongs to no request is no script's work, and only where it is told, and not steered, its business.
            return found if point in SYSTEM_POINTS else [hook for hook in found if hook.context is None]
        if all(hook.context is None for hook in found):
            return found
        contexts: set[str] = set()
        above: Request | None = request
        while above is not None:
            if above in self._within:
                # What a hook asks for is no occasion for hooks of scripts: they would call themselves.
                return [hook for hook in found if hook.context is None]
            if above.caller.context is not None:
                contexts.add(above.caller.context)
            above = above.parent
        return [hook for hook in found if hook.context is None or hook.context in contexts]


def _begin(limit: asyncio.Timeout, when: float) -> None:
    """Has a time limit count from when its call has begun, unless it has been reached meanwhile."""
    if not limit.expired():
        limit.reschedule(when)
