"""Requests that steer the kernel as frontends do: interrupt and shutdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from llmspell_kernel.context import Reply, Request

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts


class Stoppable(Protocol):
    """What shutdown needs of the kernel."""

    def stop(self, *, drain_s: float, keep: Request | None = None) -> None:
        """Begins to drain and end; returns at once."""


class InterruptHandler:
    """`interrupt_request`: cancels what the shared context runs."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """Answers at once; the interrupted cell answers for itself."""
        request.caller.demand("execute", "interrupt")
        self._contexts.interrupt()
        return Reply({})


class ShutdownHandler:
    """`shutdown_request`: drains, answers everyone, ends."""

    def __init__(self, kernel: Stoppable, drain_s: Callable[[], float]) -> None:
        self._kernel = kernel
        self._drain_s = drain_s

    async def __call__(self, request: Request) -> Reply:
        """Answers at once and begins; `metadata.llmspell.drain_s` shortens the drain, frontends wait for none."""
        request.caller.demand("execute", "shutdown")
        restart = bool(request.content.get("restart", False))
        wanted = request.wishes.get("drain_s", 0.0)
        drain_s = min(float(wanted), self._drain_s()) if isinstance(wanted, (int, float)) else 0.0
        self._kernel.stop(drain_s=drain_s, keep=request)
        return Reply({"restart": restart})
