"""One execution, or one call of a script's function: for which request it runs, with which rights, and what it asks.

A worker names the scope in every frame that belongs to one (`scope`, the id of the call that began it), so that a
function of a script's can run between cells, or in the middle of a cell that waits, and still print to, ask for and be
cancelled with the request that called it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Protocol

from llmspell_kernel.identity import Caller, script_caller
from llmspell_kernel.request import Content, Outlet, Request, Submit, handling
from llmspell_kernel.scripting.clock import ScriptClock
from llmspell_kernel.scripting.comms import Comms
from llmspell_kernel.scripting.defects import error_of
from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_kernel.scripting.stopping import StopDeadline
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.calls import Call
from llmspell_protocol.errors import Forbidden, LlmspellError, ScriptError
from llmspell_protocol.frames import Frame, FrameTooLarge
from llmspell_protocol.request_options import EVERYTHING

OnOutput = Callable[[str, str], None]
"""Gets what a script prints, as it prints it: `(stream, text)`."""

_LEVELS = {"TRACE": 5, "DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}

log = logging.getLogger(__name__)


class ScriptWorker(Protocol):
    """What a scope needs of its worker."""

    @property
    def name(self) -> str:
        """The script context, as requests name it."""

    @property
    def pid(self) -> int:
        """The process."""

    @property
    def limits(self) -> ScriptLimits:
        """What its scripts may use."""

    @property
    def comms(self) -> Comms:
        """Its comms."""

    @property
    def outlet(self) -> Outlet | None:
        """Where what runs there shows things."""

    @property
    def submit(self) -> Submit:
        """Starts a request."""

    def send(self, frame: Frame) -> None:
        """Passes a frame to the process."""

    def kill(self) -> None:
        """Ends the process at once."""


class Scope:
    """What runs for `request` until the worker has answered `call`.

    Its requests are children of `request`, with what that one's caller may and a script may; `on_output` gets what it
    prints; its clock counts from the worker's word that it has begun.
    """

    def __init__(
        self,
        worker: ScriptWorker,
        request: Request,
        on_output: OnOutput,
        open_call: Callable[[], Call],
        hosts: Sequence[str] = (),
        on_begin: Callable[[], None] | None = None,
    ) -> None:
        self.request = request
        self.clock = ScriptClock(worker.limits.compute_s, worker.limits.wall_s, self._limit_reached)
        self.limit: str | None = None
        """The limit that was reached, in words."""
        self.error: LlmspellError | None = None
        """What the kernel could not do for it, which is how it ends."""
        self.cancelled = False
        self.killed = False
        self.begun = False
        self._worker = worker
        self._on_output = on_output
        self._hosts = hosts
        self._on_begin = on_begin
        self._stopping = False
        self._deadline: StopDeadline | None = None
        self._requests: dict[int, Request] = {}
        self._worked: set[int] = set()
        """Those of them whose progress is shown."""
        self._questions: set[asyncio.Task[None]] = set()
        self._cuts: list[str] = []
        """What is to be said of replies that were cut."""
        self.call = open_call()

    @cached_property
    def caller(self) -> Caller:
        """Who asks in this scope's requests: the script, with no more rights than what it runs for."""
        limits = self._worker.limits
        return script_caller(
            self.request.caller,
            self._worker.name,
            file_access=limits.file_access,
            hosts=(EVERYTHING,) if limits.pull_addresses else tuple(self._hosts),
        )

    async def answer(self) -> Frame:
        """The call's last frame.

        Cancelling this cancels the scope, and kills the worker if that doesn't stop in time (`StopDeadline`); the frame
        is given all the same, and `cancelled` says so.
        """
        try:
            while True:
                try:
                    return await self.call.last()
                except asyncio.CancelledError:
                    if self.cancelled:
                        self._end_now()
                    self.cancelled = True
                    self._stop()
        finally:
            self.clock.stop()
            if self._deadline is not None:
                self._deadline.cancel()
            self.cancel_requests("the script that asked has ended")
            self._tell_cuts()

    def asked_for(self, request: Request) -> bool:
        """Whether a request is one of this scope's, or comes of one."""
        made = self._requests.values()
        return any(ancestor in made for ancestor in _lineage(request))

    def cancel_requests(self, reason: str) -> None:
        """Cancels what this scope waits for."""
        for question in tuple(self._questions):
            question.cancel()
        for request in tuple(self._requests.values()):
            request.cancel(reason)

    # Stopping

    def fail(self, error: LlmspellError) -> None:
        """Stops it, to end with this error; the first one counts."""
        if self.error is None:
            self.error = error
            self._stop()

    def _limit_reached(self, message: str) -> None:
        if not self._stopping:
            self.limit = message
            self._stop()

    def _stop(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        self.clock.stop()
        self.call.cancel()
        self.cancel_requests("the script was stopped")
        self._set_deadline()

    def _set_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = StopDeadline(self._worker.pid, self._end_now)

    def _end_now(self) -> None:
        if self.call.done:
            return
        if self.begun:
            self.killed = True
            self._worker.kill()
        else:
            # The worker is busy with something else, and finds the cancel before it finds this call.
            self.call.give_up({"op": "error", "id": self.call.id, "kind": "stopped", "message": "it had not begun"})

    # What comes from the worker

    def take(self, frame: Frame) -> None:
        """Takes a frame that names this scope."""
        op = frame["op"]
        if op == "request":
            self._submit(frame)
        elif op == "stream":
            self._on_output(frame["name"], frame["text"])
        elif op == "show":
            self._show(frame["kind"], frame["content"], frame.get("buffers", ()))
        elif op == "waiting":
            (self.clock.pause if frame["waiting"] else self.clock.resume)()
        elif op == "cancel":
            request = self._requests.get(frame["id"])
            if request is not None:
                request.cancel("the script doesn't want it any more")
        elif op == "input":
            question = asyncio.get_running_loop().create_task(self._ask(frame["prompt"], frame["password"]))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
        elif op == "log":
            self._log(frame)

    def _show(self, kind: str, content: Content, buffers: Sequence[bytes]) -> None:
        outlet = self.request.root.outlet or self._worker.outlet
        if kind.startswith("comm_"):
            if outlet is not None:
                outlet.show("pass_on", {})
            self._worker.comms.take(self.request, kind, content, buffers)
        elif outlet is not None:
            outlet.show(kind, content, buffers)
        elif "data" in content:
            # Nothing runs whose frontend could show it.
            self._on_output("stdout", f"{content['data'].get('text/plain', '')}\n")

    def print(self, stream: str, text: str) -> None:
        """What something else prints where this scope is what runs."""
        self._on_output(stream, text)

    def begin(self) -> None:
        """The worker runs it from here on."""
        self.begun = True
        if self._on_begin is not None:
            self._on_begin()
        if self._stopping:
            self._set_deadline()
        else:
            self.clock.begin()

    def _submit(self, frame: Frame) -> None:
        self._tell_cuts()
        number, msg_type = frame["id"], frame["msg_type"]
        sink = _PipeSink(self, number)
        self.clock.pause()
        if msg_type not in AREA_OF:
            sink.reply(Forbidden(f"{msg_type} is not open to scripts").to_content())
            return
        parent = self.request
        try:
            request = self._requests[number] = Request(
                id=f"{parent.id}.{self._worker.name}.{number}",
                msg_type=msg_type,
                content=frame["content"],
                caller=self.caller,
                sink=sink,
                parent=parent,
                header=parent.header,
            )
            self._worker.submit(request)
        except Exception as problem:  # noqa: BLE001 — its traceback is logged with the incident
            sink.reply(error_of(problem, f"{msg_type[:_SHOWN]} of a script").to_content())

    async def _ask(self, prompt: str, password: bool) -> None:
        self.clock.pause()
        try:
            text = await self.request.root.ask(prompt, password=password)
        except Exception as problem:  # noqa: BLE001 — as above
            self.fail(error_of(problem, "a script's question"))
            return
        finally:
            self.clock.resume()
        self._worker.send({"op": "input_reply", "scope": self.call.id, "text": text})

    def _log(self, frame: Frame) -> None:
        where = frame["module"] or self._worker.name
        data = f" {frame['data']}" if frame["data"] is not None else ""
        with handling(self.request):
            log.log(_LEVELS[frame["level"]], "[%s] %s%s", where, frame["message"], data)

    # What goes to the worker

    def send_event(self, frame: Frame) -> None:
        """Passes progress or a delta of one of this scope's requests on to the script."""
        try:
            self._worker.send(frame)
        except FrameTooLarge:
            self._worker.send({"op": "reply", "id": frame["id"], "content": _TOO_LARGE.to_content()})

    def show_work(self, number: int, content: Content) -> None:
        """Shows how far one of this scope's requests is."""
        outlet, request = self.request.root.outlet, self._requests.get(number)
        if outlet is not None and request is not None:
            self._worked.add(number)
            outlet.work(f"{self._worker.name}.{number}", request.content, content)

    def end_work(self, number: int, content: Content) -> None:
        """What was shown of it is over."""
        if number in self._worked:
            self._worked.discard(number)
            if (outlet := self.request.root.outlet) is not None:
                outlet.work_ended(f"{self._worker.name}.{number}", content)

    def tell_cut(self, content: Content) -> None:
        """Says behind an answer that it was cut; a script that is run has `truncated` for that.

        The script has not printed the end of it yet: it is said when the script asks for the next thing, or ends.
        """
        if not content.get("truncated") or self._worker.name.startswith("isolated"):
            return
        # Few replies are.
        from llmspell_protocol.cut_replies import cut_notice

        self._cuts.append(f"{cut_notice(content, 'script')}\n")

    def _tell_cuts(self) -> None:
        cuts, self._cuts = self._cuts, []
        for notice in cuts:
            self._on_output("stderr", notice)

    def send_reply(self, frame: Frame) -> None:
        """Passes a request's reply on; the request has ended."""
        self._requests.pop(frame["id"], None)
        self.clock.resume()
        self.send_event(frame)


_SHOWN = 40
"""Characters of a message type that an error shows."""
_TOO_LARGE = ScriptError("the answer is too large for a script")


class _PipeSink:
    """The answers to a script's request go back through the pipe."""

    __slots__ = ("_number", "_scope")

    def __init__(self, scope: Scope, number: int) -> None:
        self._scope = scope
        self._number = number

    def progress(self, content: Content) -> None:
        """Passes it on, and shows it where something is shown."""
        self._scope.show_work(self._number, content)
        self._scope.send_event({"op": "progress", "id": self._number, "content": content})

    def delta(self, content: Content) -> None:
        """Passes it on: an answer that comes has been read and loaded for."""
        self._scope.end_work(self._number, {"status": "ok"})
        self._scope.send_event({"op": "delta", "id": self._number, "content": content})

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Passes it on, with its buffers if there are any."""
        self._scope.end_work(self._number, content)
        self._scope.tell_cut(content)
        frame = {"op": "reply", "id": self._number, "content": content}
        if buffers:
            frame["buffers"] = list(buffers)
        self._scope.send_reply(frame)

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """A script's request has no frontend of its own."""

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """A script can't be asked: what needs input asks the request at the root."""
        return None


def _lineage(request: Request) -> Iterator[Request]:
    ancestor: Request | None = request
    while ancestor is not None:
        yield ancestor
        ancestor = ancestor.parent
