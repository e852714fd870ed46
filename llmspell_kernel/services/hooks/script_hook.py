"""A function of a script's as a hook: how it is called, for which request, and what it is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llmspell_kernel.parts import SilentSink, part_of
from llmspell_kernel.request import Request
from llmspell_kernel.services.correlation import correlation_of
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict, read_verdict
from llmspell_protocol.request_options import NO_OPTIONS

if TYPE_CHECKING:
    from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction

log = logging.getLogger(__name__)


class ScriptHook:
    """Calls one function. `within` has the requests for which functions of hooks are being called."""

    def __init__(
        self, contexts: Contexts, function: ScriptFunction, registering: Request, within: set[Request]
    ) -> None:
        self._contexts = contexts
        self._function = function
        self._within = within
        self._home = Request(
            id=f"{registering.id}.hook",
            msg_type="hook_request",
            content={},
            caller=registering.caller,
            sink=SilentSink(),
        )
        """For points of the kernel's own: the script as it was when it registered, without what it was granted."""

    async def call(self, occasion: Occasion, on_begin: Callable[[], None]) -> Verdict:
        """One call, as a part of the request whose work it is about; raises as `Contexts.invoke`, and `NoVerdict`."""
        request = occasion.request or self._home
        told = _told(occasion, correlation_of(request))
        output = self._contexts.output_of(self._function)
        with part_of(
            request,
            {},
            msg_type="hook_request",
            sink=SilentSink(),
            options=NO_OPTIONS,
            apart=not occasion.awaited,
        ) as part:
            self._within.add(part)
            try:
                said = await self._contexts.invoke(part, self._function, [told], output, on_begin=on_begin)
            finally:
                self._within.discard(part)
        return read_verdict(said, occasion.data)

    def tell(self, line: str) -> None:
        """Says a line on the script's standard error."""
        log.info("%s", line)
        self._contexts.output_of(self._function)("stderr", f"warning: {line}\n")


def _told(occasion: Occasion, correlation_id: str) -> dict[str, Any]:
    request = occasion.request
    return {
        "point": occasion.point,
        "component_id": {"type": occasion.component.type, "name": occasion.component.name},
        "correlation_id": correlation_id,
        "language": "lua",
        "metadata": {} if request is None else {"request": request.root.shown},
        "data": dict(occasion.data),
    }
