"""Work with hooks before it, behind it, and where it fails: what they say is done. Knows not which hooks there are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict, cancelled
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_protocol.errors import Forbidden, LlmspellError

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_REDIRECTIONS = 10
"""Attempts that a failure may be redirected to, by hooks that know no end."""

_GOES_ON = ("continue", "modified")

CheckVerdict = Callable[[Verdict], object]
"""Raises `InvalidRequest` where the work could do nothing with what a hook said: then the hook has failed."""


class Hooks(Protocol):
    """The hooks of all points, as `HookRegistry` has them."""

    def registered(self, point: str, request: Request | None) -> bool:
        """Whether one would be called."""

    async def run(self, occasion: Occasion, check: CheckVerdict | None = None) -> Verdict:
        """Calls those of a point: what they say together."""


class Doing(Generic[T]):
    """One piece of work while it is done."""

    def __init__(self, hooks: Hooks, request: Request, hooked: HookedWork[T]) -> None:
        self._hooks = hooks
        self._request = request
        self._hooked = hooked
        self._data = hooked.data
        self._attempt = 1

    async def done(self) -> T:
        """The result, of the work or of a hook.

        Raises:
            Forbidden: a hook has cancelled it.
            LlmspellError: what the work raises, and no hook has put something in its place.
        """
        hooked = self._hooked
        before = await self._run(hooked.before, self._data, check=self._check_before)
        self._data = before.data
        if before.kind not in (*_GOES_ON, "retry", "redirect"):
            return self._settled(before, hooked.before)
        if before.kind == "redirect":
            self._redirect(before, hooked.before)
        while True:
            try:
                result = await hooked.work(self._data)
            except LlmspellError as problem:
                point, verdict = await self._failed(problem, before)
            else:
                point = hooked.after
                if not self._hooks.registered(point, self._request):
                    return result
                seen = self._seen(result)
                verdict = await self._run(point, seen, raw=result, check=partial(self._check_after, seen))
                if verdict.kind == "modified":
                    return self._changed(result, seen, verdict)
                if verdict.kind in ("continue", "redirect") or self._is_last(verdict):
                    return result
            if verdict.kind == "retry":
                self._attempt += 1
                await asyncio.sleep(verdict.delay_ms / 1000)
            elif verdict.kind == "redirect":
                self._attempt += 1
                self._redirect(verdict, point)
            else:
                return self._settled(verdict, point)

    async def _run(self, point: str, data: Mapping[str, Any], *, raw: Any = None, check: CheckVerdict) -> Verdict:
        hooked = self._hooked
        occasion = Occasion(point, self._request, hooked.component, data, raw, basis=hooked.basis)
        return await self._hooks.run(occasion, check)

    async def _failed(self, problem: LlmspellError, before: Verdict) -> tuple[str, Verdict]:
        """What is to become of work that has failed; raises `problem` where no hook knows something better."""
        hooked = self._hooked
        if before.kind == "retry" and not self._is_last(before):
            return hooked.before, before
        if hooked.error is None:
            raise problem
        data = {**self._data, "error": problem.message, "code": problem.code}
        verdict = await self._run(hooked.error, data, raw=problem, check=self._check_given)
        if verdict.kind in _GOES_ON:
            said = str(verdict.data.get("error"))
            if said != problem.message:
                problem.message, problem.args = said, (said,)
            raise problem
        if self._is_last(verdict):
            raise problem
        return hooked.error, verdict

    def _is_last(self, verdict: Verdict) -> bool:
        """Whether a verdict that wants a further attempt has had them all."""
        most = {"retry": verdict.max_attempts, "redirect": MOST_REDIRECTIONS}.get(verdict.kind)
        return most is not None and self._attempt >= most

    def _redirect(self, verdict: Verdict, point: str) -> None:
        target = self._hooked.target
        if target is None:
            log.warning("hook '%s': work at %s can't be redirected; it goes on as it is", verdict.by, point)
        else:
            self._data = {**self._data, target: verdict.target}

    # Results

    def _seen(self, result: T) -> Mapping[str, Any]:
        """What hooks are told of a result."""
        hooked = self._hooked
        more = {} if hooked.details is None else hooked.details(result)
        return {**self._data, **more, hooked.result_key: hooked.shown(result)}

    def _changed(self, result: T, seen: Mapping[str, Any], verdict: Verdict) -> T:
        changed = verdict.data.get(self._hooked.result_key)
        return result if changed == seen[self._hooked.result_key] else self._hooked.made(changed)

    def _settled(self, verdict: Verdict, point: str) -> T:
        """What a verdict puts in the place of the work's result."""
        if verdict.kind == "cancel":
            raise cancelled(verdict, point)
        if verdict.kind == "replace" and verdict.raw is not None:
            result: T = verdict.raw
            return result
        return self._hooked.made(verdict.value if verdict.kind == "replace" else None)

    # What a hook may say

    def _check_before(self, verdict: Verdict) -> None:
        hooked = self._hooked
        self._check_given(verdict)
        if hooked.check is not None and verdict.kind == "modified":
            hooked.check(verdict.data)

    def _check_after(self, seen: Mapping[str, Any], verdict: Verdict) -> None:
        self._check_given(verdict)
        if verdict.kind == "modified":
            changed = verdict.data.get(self._hooked.result_key)
            if changed != seen[self._hooked.result_key]:
                self._make(changed)

    def _check_given(self, verdict: Verdict) -> None:
        if verdict.kind == "replace" and verdict.raw is None:
            self._make(verdict.value)

    def _make(self, value: Any) -> None:
        # Work whose result can't be given refuses that itself: the verdict stands.
        with suppress(Forbidden):
            self._hooked.made(value)
