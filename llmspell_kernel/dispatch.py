"""From request to handler and back: the one place where rights are checked and exceptions become replies.

Each request is a task of its own, so shell never waits for a running one. Standard requests are framed by busy and
idle on IOPub; our own publish nothing there. Knows no sockets: a request's sink does the sending.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence

from llmspell_kernel.context import Handler, Reply, Request
from llmspell_protocol.actions import ACTIONS, actions_of
from llmspell_protocol.errors import Busy, Cancelled, Internal, InvalidRequest, LlmspellError, Timeout, Unsupported
from llmspell_protocol.messages import AREAS, area_of

log = logging.getLogger(__name__)

OWN_REQUESTS = frozenset(f"{area}_request" for area in AREAS)
"""Types that get progress and deltas on shell and publish nothing on IOPub."""
_ALWAYS = frozenset({"status", "ps", "cancel"})


class Dispatcher:
    """Starts a task for each request, keeps the unfinished ones, and answers each exactly once."""

    def __init__(self, *, max_clients: int) -> None:
        self.active: dict[str, Request] = {}
        self.handlers: Mapping[str, Handler] = {}
        self.handled = 0
        self._clients: Callable[[], Sequence[str]] = tuple
        self._on_client_gone: Callable[[str], None] | None = None
        self._max_clients = max_clients
        self.draining = False
        self.last_activity = time.time()

    def attach(
        self,
        handlers: Mapping[str, Handler],
        clients: Callable[[], Sequence[str]],
        on_client_gone: Callable[[str], None],
    ) -> None:
        """Connects the handlers, who knows the connected clients (oldest first), and who forgets what one leaves.

        Nothing can arrive before.
        """
        self.handlers = handlers
        self._clients = clients
        self._on_client_gone = on_client_gone

    def submit(self, request: Request) -> asyncio.Task[None]:
        """Starts a request, from wherever it came; the task ends when it has been answered."""
        if request.parent is not None:
            request.parent.children.add(request)
        task = asyncio.get_running_loop().create_task(self._run(request), name=f"{request.msg_type} {request.id}")
        request.task = task
        self.active[request.id] = request
        self.last_activity = time.time()
        task.add_done_callback(lambda _: self._finished(request))
        return task

    def client_gone(self, client: str) -> None:
        """A client vanished: its unfinished work of our own types is cancelled; notebook cells go on."""
        for request in tuple(self.active.values()):
            own = request.msg_type in OWN_REQUESTS or request.wishes.get("isolated")
            if request.parent is None and request.caller.client == client and own and not request.wishes.get("detach"):
                request.cancel("the client is gone")
        if self._on_client_gone is not None:
            self._on_client_gone(client)

    async def drain(self, timeout_s: float, *, keep: Request | None = None) -> None:
        """Accepts nothing more, lets running work finish within the time, then cancels what is left."""
        self.draining = True
        others = {request.task for request in self.active.values() if request is not keep and request.task}
        if others and timeout_s > 0:
            await asyncio.wait(others, timeout=timeout_s)
        for request in tuple(self.active.values()):
            if request is not keep and request.parent is None:
                request.cancel("the kernel is shutting down")
        others = {request.task for request in self.active.values() if request is not keep and request.task}
        if others:
            await asyncio.wait(others, timeout=2.0)

    def _finished(self, request: Request) -> None:
        self.handled += 1
        if self.active.get(request.id) is request:
            del self.active[request.id]
        if request.parent is not None:
            request.parent.children.discard(request)
        self.last_activity = time.time()

    async def _run(self, request: Request) -> None:
        framed = request.parent is None and request.msg_type not in OWN_REQUESTS
        if framed:
            request.sink.publish("status", {"execution_state": "busy"})
        try:
            reply = await self._answer(request)
            request.reply({"status": "ok", **reply.content}, reply.buffers)
        except LlmspellError as error:
            self._reply_error(request, error)
        except asyncio.CancelledError:
            why = request.cancel_reason or "the kernel is shutting down"
            self._reply_error(request, Cancelled(f"cancelled: {why}"))
        except Exception:
            incident = os.urandom(4).hex()
            log.exception("incident %s in %s", incident, request.msg_type)
            text = f"internal error in {request.msg_type} {request.action}".rstrip()
            hint = f"the kernel's log has the details under incident {incident}"
            self._reply_error(request, Internal(text, hint=hint, details={"incident": incident}))
        finally:
            for child in tuple(request.children):
                child.cancel("its parent ended")
            if framed:
                request.sink.publish("status", {"execution_state": "idle"})

    async def _answer(self, request: Request) -> Reply:
        handler = self.handlers.get(request.msg_type)
        if handler is None:
            raise Unsupported(f"{request.msg_type} is not supported by this kernel", details={"type": request.msg_type})
        self._check_rights(request)
        self._check_room(request)
        timeout_s = request.wishes.get("timeout_s")
        if timeout_s is None:
            return await handler(request)
        if not isinstance(timeout_s, (int, float)) or timeout_s <= 0:
            raise InvalidRequest("metadata.llmspell.timeout_s must be a positive number of seconds")
        try:
            async with asyncio.timeout(timeout_s):
                return await handler(request)
        except TimeoutError:
            raise Timeout(f"timed out after {timeout_s:g} s", details={"timeout_s": timeout_s}) from None

    def _check_rights(self, request: Request) -> None:
        if request.msg_type == "execute_request":
            request.caller.demand("execute", "execute")
        if request.msg_type not in OWN_REQUESTS:
            return
        area = area_of(request.msg_type)
        if (area, request.action) not in ACTIONS:
            text = f"{request.msg_type} has no action '{request.action}'"
            hint = f"actions: {', '.join(actions_of(area)) or 'none in this version'}"
            raise InvalidRequest(text, hint=hint, details={"action": request.action})
        request.caller.demand(ACTIONS[area, request.action], f"{area} {request.action}")

    def _check_room(self, request: Request) -> None:
        """Whether the kernel takes work, and from this client; to look and to cancel is always possible."""
        is_work = request.msg_type in OWN_REQUESTS or request.msg_type == "execute_request"
        if request.parent is not None or not is_work or request.action in _ALWAYS:
            return
        if self.draining:
            raise Busy("the kernel is shutting down", details={"retry_after_s": 5})
        if request.caller.client not in self._admitted():
            raise Busy(
                f"the kernel serves {self._max_clients} clients already",
                hint="raise kernel.max_clients, or close a client",
                details={"max_clients": self._max_clients, "retry_after_s": 5},
            )

    def _admitted(self) -> Sequence[str]:
        """The clients inside the limit: those that came first."""
        return self._clients()[: self._max_clients]

    def _reply_error(self, request: Request, error: LlmspellError) -> None:
        if request.partial and "partial" not in error.details:
            error.details["partial"] = request.partial.content()
        request.reply(error.to_content())
