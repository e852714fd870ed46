"""What a service says of work that hooks may be called around. Cheap to import: most kernels have no hook."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

from llmspell_kernel.services.hooks.component import Component

T = TypeVar("T")


def _itself(value: Any) -> Any:
    return value


class HookedWork(Generic[T]):
    """Work and how hooks see it. Its fields stay as they are; a data class would take its time to be made.

    `before`, `after` and `error` are its points. `work` gets the data as the hooks left it. Hooks see the result as
    `shown`, under `result_key`, with `details` beside it; `made` makes a result from what a hook gave, None where it
    skipped the work. `target` is the key of the data that `redirect` changes; `check` raises `InvalidRequest` for data
    that the work could do nothing with; `basis` as in `Occasion`.
    """

    __slots__ = (
        *("after", "basis", "before", "check", "component", "data", "details", "error"),
        *("made", "result_key", "shown", "target", "work"),
    )

    def __init__(
        self,
        *,
        before: str,
        after: str,
        error: str | None,
        component: Component,
        data: Mapping[str, Any],
        work: Callable[[Mapping[str, Any]], Awaitable[T]],
        shown: Callable[[T], Any] = _itself,
        made: Callable[[Any], T] = _itself,
        details: Callable[[T], Mapping[str, Any]] | None = None,
        result_key: str = "result",
        target: str | None = None,
        check: Callable[[Mapping[str, Any]], object] | None = None,
        basis: Callable[[], str] | None = None,
    ) -> None:
        self.before = before
        self.after = after
        self.error = error
        self.component = component
        self.data = data
        self.work = work
        self.shown = shown
        self.made = made
        self.details = details
        self.result_key = result_key
        self.target = target
        self.check = check
        self.basis = basis
