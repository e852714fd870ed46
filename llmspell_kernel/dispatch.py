"""From request to handler and back: the one place where rights are checked and exceptions become replies.

Each request is a task of its own, so shell never waits for a running one. Standard requests are framed by busy and
idle on IOPub; our own publish nothing there. Knows no sockets: a request's sink does the sending.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.clients import Clients
from llmspell_kernel.drain import Drain
from llmspell_kernel.flat_content import request_options
from llmspell_kernel.identity import standard_right
from llmspell_kernel.request import Handler, Record, Reply, Request, handled_request
from llmspell_protocol.areas import AREA_OF, actions
from llmspell_protocol.errors import Busy, Cancelled, Internal, InvalidRequest, LlmspellError, Timeout, Unsupported
from llmspell_protocol.incidents import as_incident, incident_number
from llmspell_protocol.messages import ONE_WAY

log = logging.getLogger(__name__)

OnFailure = Callable[[Request, LlmspellError], Awaitable[None]]
"""Hears of a request's failure before its answer leaves; raises nothing."""

_SHOWN = 40
"""Characters of a type or an action that an error shows."""


class Dispatcher:
    """Starts a task for each request, answers each exactly once, and cancels what a client that goes leaves running."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        requests: ActiveRequests,
        clients: Clients,
        drain: Drain,
        observe: Callable[[Request], Record | None] | None = None,
        on_failure: OnFailure | None = None,
    ) -> None:
        """`observe` is shown each request that is about to be handled, and gives what is to hear of its reply."""
        self._handlers = handlers
        self._observe = observe
        self._requests = requests
        self._clients = clients
        self._drain = drain
        self._on_failure = on_failure
        self._cells: dict[Request, None] = {}
        """Cells that frontends have been told to be busy and not idle again, oldest first."""
        clients.on_gone(self._client_gone)
        clients.on_returned(requests.supersede)

    def submit(self, request: Request) -> asyncio.Task[None]:
        """Starts a request, from wherever it came; the task ends when it has been answered."""
        problem = _read_options(request)
        if taken := self._requests.is_taken(request):
            problem = InvalidRequest(
                "a request of this client with this msg_id is running already",
                hint="give every request an id of its own",
                details={"msg_id": request.id},
            )
            request.unheard = True  # Busy and idle would be taken for those of the one that runs.
        run = self._run(request, problem)
        task = asyncio.get_running_loop().create_task(run, name=f"{request.msg_type} {request.id}")
        request.task = task
        # Jupyter has no reply to these, whatever becomes of them.
        request.answered = request.msg_type in ONE_WAY
        self._requests.add(request)
        task.add_done_callback(lambda ended: self._finished(request, ended))
        if not taken and self._requests.early_cancels.take(request.id, request.caller.sender):
            request.cancel("the client cancelled it")
        return task

    def _client_gone(self, client: str) -> None:
        """Its unfinished work of our own types is cancelled; notebook cells go on."""
        for request in self._requests:
            own = request.msg_type in AREA_OF or request.options.isolated
            if request.parent is None and request.caller.client == client and own and not request.options.detach:
                request.cancel("the client is gone")

    def _finished(self, request: Request, task: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        if not request.answered:
            self._tell_of_no_answer(request, task)

    def _tell_of_no_answer(self, request: Request, task: asyncio.Task[None]) -> None:
        """Answers a request whose task ended without: its cancel came in one go with it, or the answer failed."""
        framed = _is_framed(request) and task.cancelled()
        if framed:  # It ended before its first step.
            self._tell_busy(request)
        if task.cancelled():
            request.fail(_cancelled(request))
        else:
            request.fail(_defect(request, task.exception()))
        if framed:
            self._tell_idle(request)

    def _tell_busy(self, request: Request) -> None:
        request.sink.publish("status", {"execution_state": "busy"})
        if request.msg_type == "execute_request":
            self._cells[request] = None

    def _tell_idle(self, request: Request) -> None:
        """Told once more that it is busy is a cell that goes on: frontends show the state that was told last."""
        self._cells.pop(request, None)
        request.sink.publish("status", {"execution_state": "idle"})
        for cell in self._cells:
            if cell.caller.notebook == request.caller.notebook:
                cell.sink.publish("status", {"execution_state": "busy"})
                return

    async def _run(self, request: Request, problem: Exception | None) -> None:
        handled_request.set(request.id)  # The task's own: it copied its context.
        began = time.monotonic()
        framed = _is_framed(request)
        if framed:
            self._tell_busy(request)
        try:
            reply = await self._answer(request, problem)
            request.reply({"status": "ok", **reply.content}, reply.buffers)
            log.debug("%s: done in %d ms", request.shown, (time.monotonic() - began) * 1000)
        except LlmspellError as error:
            if self._on_failure is not None:
                await self._on_failure(request, error)
            request.fail(_defect(request, error) if isinstance(error, Internal) else error)
        except asyncio.CancelledError:
            request.fail(_cancelled(request))
        except Exception as problem:  # noqa: BLE001 — its traceback is logged with the incident
            request.fail(_defect(request, problem))
        finally:
            for child in tuple(request.children):
                child.cancel("its parent ended")
            if framed:
                self._tell_idle(request)

    async def _answer(self, request: Request, problem: Exception | None) -> Reply:
        handler = self._handlers.get(request.msg_type)
        if handler is None:
            raise Unsupported(f"{request.msg_type} is not supported by this kernel", details={"type": request.msg_type})
        if request.problem is not None:
            raise request.problem  # Nothing is known of what it asks for.
        self._check_rights(request)
        if problem is not None:
            raise problem
        self._check_room(request)
        if self._observe is not None:
            request.record = self._observe(request)
        if request.parent is not None and request.parent.answers is not None:
            request.answers = request.parent.answers
            handler = functools.partial(request.answers.answer, handler=handler)
        timeout_s = request.options.timeout_s
        if timeout_s is None:
            return await handler(request)
        try:
            async with asyncio.timeout(timeout_s):
                return await handler(request)
        except TimeoutError:
            raise Timeout(f"timed out after {timeout_s:g} s", details={"timeout_s": timeout_s}) from None

    def _check_rights(self, request: Request) -> None:
        """Whether the caller may do this: the one place that says no, whatever the message."""
        if (area := AREA_OF.get(request.msg_type)) is None:
            right = standard_right(request.msg_type, notebook=request.caller.notebook is not None)
            request.caller.demand(right, request.msg_type.removesuffix("_request"))
            return
        action = actions(area).get(request.action)
        if action is None:
            text = f"{request.msg_type} has no action '{request.action[:_SHOWN]}'"
            hint = f"actions: {', '.join(sorted(actions(area)))}"
            raise InvalidRequest(text, hint=hint, details={"action": request.action[:_SHOWN]})
        request.caller.demand(action.right, f"{area} {request.action}")

    def _check_room(self, request: Request) -> None:
        """Whether the kernel takes work, and from this client; to look, to cancel and to steer is always possible."""
        if area := AREA_OF.get(request.msg_type):
            is_work = not actions(area)[request.action].looks
        else:
            is_work = request.msg_type == "execute_request"
        if request.parent is not None or not is_work:
            return
        if self._drain.begun:
            raise Busy(
                "the kernel is shutting down and takes no more work",
                hint="llmspell kernel status lists the others; llmspell kernel start --daemon starts one",
                details={"retry_after_s": 5},
            )
        if not self._clients.admits(request.caller.client):
            raise Busy(
                f"the kernel serves {self._clients.limit} clients already",
                hint="raise kernel.max_clients, or close a client",
                details={"max_clients": self._clients.limit, "retry_after_s": 5},
            )


def _read_options(request: Request) -> Exception | None:
    """Makes `options` of what came; whatever goes wrong with that is the request's answer, and never `submit`'s end."""
    try:
        request.options = request_options(request.raw_options)
    except Exception as problem:  # noqa: BLE001
        return problem
    return None


def _cancelled(request: Request) -> Cancelled:
    return Cancelled(f"cancelled: {request.cancel_reason or 'the kernel is shutting down'}")


def _defect(request: Request, problem: BaseException | None) -> Internal:
    """What is told of a defect; the log has the traceback under the same incident."""
    if isinstance(problem, Internal):
        error = problem  # A worker's, whose own log has the number too.
        incident = error.details.setdefault("incident", incident_number())
    else:
        incident = incident_number()
        text = f"internal error in {request.msg_type[:_SHOWN]} {request.action[:_SHOWN]}".rstrip()
        error = as_incident(text, incident)
    log.error("incident %s in %s", incident, request.shown, exc_info=problem)
    return error


def _is_framed(request: Request) -> bool:
    """Whether frontends hear of it on IOPub: busy before, idle after it."""
    own = request.msg_type in AREA_OF or request.options.isolated
    return request.parent is None and not own and not request.unheard
