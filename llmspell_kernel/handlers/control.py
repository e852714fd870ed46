"""Requests that steer the kernel as frontends do: interrupt and shutdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_protocol.standard_requests import ShutdownRequest

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts
    from llmspell_kernel.services.kernel import KernelService
    from llmspell_kernel.services.notebooks import Notebooks


class InterruptHandler:
    """`interrupt_request`: cancels what the notebook runs, in its subshells too, as JEP 91 wants it."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts

    async def __call__(self, request: Request) -> Reply:
        """Answers at once; the interrupted cell answers for itself."""
        self._contexts.shells(request.caller).interrupt()
        return Reply({})


class ShutdownHandler:
    """`shutdown_request`: drains, answers everyone, ends; through a notebook's door it is that notebook that ends."""

    def __init__(self, kernel: KernelService, notebooks: Callable[[], Notebooks]) -> None:
        self._kernel = kernel
        self._notebooks = notebooks

    async def __call__(self, request: Request) -> Reply:
        """Answers at once and begins; `metadata.llmspell.drain_s` allows a drain, frontends wait for none."""
        wanted = standard_content(ShutdownRequest, request.msg_type, request.content)
        if request.caller.notebook is not None:
            self._notebooks().named(request.caller.notebook).end("restart" if wanted.restart else "shutdown")
            return Reply({"restart": wanted.restart})
        drain_s = min(request.options.drain_s or 0.0, self._kernel.drain_timeout_s)
        self._kernel.stop(keep=request, drain_s=drain_s)
        return Reply({"restart": wanted.restart})
