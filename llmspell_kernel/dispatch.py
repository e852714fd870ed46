"""From request to handler and back: the one place where rights are checked and exceptions become replies.

Each request is a task of its own, so shell never waits for a running one. Standard requests are framed by busy and
idle on IOPub; our own publish nothing there. Knows no sockets: a request's sink does the sending.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from llmspell_kernel.context import Handler, Reply, Request, handled_request
from llmspell_kernel.early_cancels import EarlyCancels
from llmspell_protocol.areas import AREA_OF, actions
from llmspell_protocol.errors import Busy, Cancelled, Internal, InvalidRequest, LlmspellError, Timeout, Unsupported

log = logging.getLogger(__name__)

_CANCELLING_S = 2.0
"""How long cancelled work may take to end; a script that doesn't stop is killed after one second."""


class Dispatcher:
    """Starts a task for each request, keeps the unfinished ones, and answers each exactly once."""

    def __init__(self, *, max_clients: int) -> None:
        self.active: dict[str, Request] = {}
        self.early_cancels = EarlyCancels()
        self.handlers: Mapping[str, Handler] = {}
        self.handled = 0
        self.max_clients = max_clients
        self.draining = False
        self.last_activity = time.time()
        self._clients: Callable[[], Sequence[str]] = tuple
        self._on_client_gone: Callable[[str], None] | None = None
        self._on_change: Callable[[], None] | None = None
        self._drain_limit: asyncio.Timeout | None = None

    def attach(
        self,
        handlers: Mapping[str, Handler],
        clients: Callable[[], Sequence[str]],
        on_client_gone: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        """Connects the handlers, who knows the connected clients (oldest first), and who forgets what one leaves.

        `on_change` hears that a request has come or ended or a client has gone. Nothing can arrive before.
        """
        self.handlers = handlers
        self._clients = clients
        self._on_client_gone = on_client_gone
        self._on_change = on_change

    def submit(self, request: Request) -> asyncio.Task[None]:
        """Starts a request, from wherever it came; the task ends when it has been answered."""
        if request.parent is not None:
            request.parent.children.add(request)
        task = asyncio.get_running_loop().create_task(self._run(request), name=f"{request.msg_type} {request.id}")
        request.task = task
        self.active[request.id] = request
        self.last_activity = time.time()
        task.add_done_callback(lambda _: self._finished(request))
        self._changed()
        if self.early_cancels.take(request.id, request.caller.session):
            request.cancel("the client cancelled it")
        return task

    def client_gone(self, client: str) -> None:
        """A client vanished: its unfinished work of our own types is cancelled; notebook cells go on."""
        for request in tuple(self.active.values()):
            own = request.msg_type in AREA_OF or request.wishes.get("isolated")
            if request.parent is None and request.caller.client == client and own and not request.wishes.get("detach"):
                request.cancel("the client is gone")
        if self._on_client_gone is not None:
            self._on_client_gone(client)
        self._changed()

    async def drain(self, until: float, keep: Collection[Request] = ()) -> None:
        """Accepts no more work, lets what runs finish until then (the loop's time), and cancels what is left.

        Everybody has an answer when it returns, except those of the requests `keep`, which are about to answer.
        """
        self.draining = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        if others := self._tasks(keep):
            try:
                async with asyncio.timeout_at(until) as self._drain_limit:
                    await asyncio.wait(others)
            except TimeoutError:
                pass  # What is left is cancelled below.
        reason = "the kernel is shutting down"
        if waited_s := round(loop.time() - began):
            reason += f" and has waited {waited_s} s for running work"
        for request in tuple(self.active.values()):
            if request not in keep and request.parent is None:
                request.cancel(reason)
        if others := self._tasks(keep):
            await asyncio.wait(others, timeout=_CANCELLING_S)
        for request in tuple(self.active.values()):
            if request not in keep:
                # It does not end; its client is told all the same.
                self._reply_error(request, Cancelled(f"cancelled: {reason}"))

    def drain_sooner(self, until: float) -> None:
        """Leaves running work less time than it had."""
        if self._drain_limit is not None and not self._drain_limit.expired():
            when = self._drain_limit.when()
            if when is None or until < when:
                self._drain_limit.reschedule(until)

    def _tasks(self, keep: Collection[Request]) -> set[asyncio.Task[None]]:
        return {request.task for request in self.active.values() if request not in keep and request.task}

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()

    def _finished(self, request: Request) -> None:
        self.handled += 1
        if self.active.get(request.id) is request:
            del self.active[request.id]
        if request.parent is not None:
            request.parent.children.discard(request)
        self.last_activity = time.time()
        if not request.answered:
            self._tell_of_no_beginning(request)
        self._changed()

    def _tell_of_no_beginning(self, request: Request) -> None:
        """Answers a request whose cancel came in one go with it: its task ended before its first step."""
        framed = request.parent is None and request.msg_type not in AREA_OF
        if framed:
            request.sink.publish("status", {"execution_state": "busy"})
        self._reply_error(request, Cancelled(f"cancelled: {request.cancel_reason or 'the kernel is shutting down'}"))
        if framed:
            request.sink.publish("status", {"execution_state": "idle"})

    async def _run(self, request: Request) -> None:
        handled_request.set(request.id)  # The task's own: it copied its context.
        began = time.monotonic()
        framed = request.parent is None and request.msg_type not in AREA_OF
        if framed:
            request.sink.publish("status", {"execution_state": "busy"})
        try:
            reply = await self._answer(request)
            request.reply({"status": "ok", **reply.content}, reply.buffers)
            log.debug("%s: done in %d ms", _shown(request), (time.monotonic() - began) * 1000)
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
        if (area := AREA_OF.get(request.msg_type)) is None:
            return
        action = actions(area).get(request.action)
        if action is None:
            text = f"{request.msg_type} has no action '{request.action}'"
            hint = f"actions: {', '.join(sorted(actions(area)))}"
            raise InvalidRequest(text, hint=hint, details={"action": request.action})
        request.caller.demand(action.right, f"{area} {request.action}")

    def _check_room(self, request: Request) -> None:
        """Whether the kernel takes work, and from this client; to look, to cancel and to steer is always possible."""
        if area := AREA_OF.get(request.msg_type):
            is_work = not actions(area)[request.action].looks
        else:
            is_work = request.msg_type == "execute_request"
        if request.parent is not None or not is_work:
            return
        if self.draining:
            raise Busy(
                "the kernel is shutting down and takes no more work",
                hint="llmspell kernel status lists the others; llmspell kernel start --daemon starts one",
                details={"retry_after_s": 5},
            )
        if request.caller.client not in self._admitted():
            raise Busy(
                f"the kernel serves {self.max_clients} clients already",
                hint="raise kernel.max_clients, or close a client",
                details={"max_clients": self.max_clients, "retry_after_s": 5},
            )

    def _admitted(self) -> Sequence[str]:
        """The clients inside the limit: those that came first."""
        return self._clients()[: self.max_clients]

    def _reply_error(self, request: Request, error: LlmspellError) -> None:
        if request.partial and "partial" not in error.details:
            error.details["partial"] = request.partial.content()
        log.debug("%s: %s", _shown(request), error.code)  # The message may quote what a person wrote.
        request.reply(error.to_content())


def _shown(request: Request) -> str:
    return f"{request.msg_type[:40]} {request.action[:40]}".rstrip()
