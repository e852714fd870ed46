"""The child process of one script context: frames in, Lua, frames out. Single-threaded; it ends with its pipe.

It answers `start`, `execute`, `invoke`, `complete`, `inspect`, `is_complete`, `debug` and `debug_call`, each with one
`done` or `error`. It takes `cancel` of one of these, `release`, `input_reply` and the `progress`, `delta` and `reply`
of its own requests. An execute, invoke or debug_call is a scope: `began`, `stream`, `log`, `input`, `request`,
`cancel`, `waiting` and `debug_event` name the one they belong to (`scope`, its id). A script that waits, or stands
where a debugger has stopped it, serves calls of its functions meanwhile, so that scopes form a stack.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from llmspell_kernel.scripting.lua.chunk_run import call_debugger, call_function, failure_fields, run_chunk
from llmspell_kernel.scripting.lua.convert import NotConvertible
from llmspell_kernel.scripting.lua.guard import Stopped
from llmspell_kernel.scripting.lua.reach import nothing
from llmspell_kernel.scripting.lua.refusals import refusal
from llmspell_kernel.scripting.lua.sandbox import Sandbox, ScriptFailure
from llmspell_kernel.scripting.lua.scopes import Asked, Pending, Scope
from llmspell_kernel.scripting.lua.written import Pace, Written
from llmspell_protocol.child import connect_parent
from llmspell_protocol.frames import MAX_FRAME_BYTES, Frame, FramePipe, FrameTooLarge
from llmspell_protocol.orphans import adopt_orphans, end_left_behind
from llmspell_protocol.worker_memory import SCRIPT_SPARE_BYTES, hold_address_space

if TYPE_CHECKING:
    from llmspell_kernel.scripting.lua.debugger.attachment import Attachment

_ANSWERS = frozenset({"progress", "delta", "reply"})
_AT_ONCE = _ANSWERS | {"cancel", "input_reply"}
"""What is noted when it is read, whatever runs."""
_QUESTIONS = frozenset({"complete", "inspect", "is_complete"})
_OF_DEBUGGERS = frozenset({"debug", "debug_call"})
_WHILE_WAITING = _QUESTIONS | _OF_DEBUGGERS | {"invoke", "release"}
"""What is served in the middle of a script that waits for an answer."""


class Worker:
    """One script context."""

    def __init__(self, pipe: FramePipe) -> None:
        self._pipe = pipe
        self._written = Written(self._send_text, self._send_next)
        self._comms = Pace()
        self._sandbox: Sandbox | None = None
        self._scopes: list[Scope] = []
        self._stop = False
        """Whether a scope of the stack has to stop, and so what runs on top of it."""
        self._numbers = count(1)
        self._asked: dict[int, Asked] = {}
        self._pending = Pending()
        self._debugger: Attachment | None = None
        self._aside = False  # see `aside`

    def run(self) -> None:
        """Serves frames until the kernel closes the pipe."""
        while True:
            frame = self._pending.popleft() if self._pending else self._receive()
            if frame is not None:
                self._serve(frame)

    # What the Lua side needs of us (`host.Kernel`)

    def stopped(self) -> bool:
        """Whether the running script has to stop; looks at the pipe."""
        if not self._stop:
            self._take_what_is_there()
        return self._stop

    def clear_stop(self) -> None:
        """What ran innermost has stopped; whether what is around it has to, is looked for when that runs again."""
        if self._scopes:
            self._scopes[-1].stop = False
        self._stop = False

    def exit(self, status: int) -> None:
        """`os.exit`."""
        scope = self._scope()
        scope.stop = self._stop = True
        scope.exit_status = status

    def write(self, stream: str, data: bytes) -> None:
        """Sends output soon; nothing where no request runs that it could belong to (a finalizer's)."""
        if self._scopes:
            self._written.write(self._scopes[-1].id, stream, data)

    def show(self, kind: str, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Sends what is shown beside text; nothing where no request runs that it could belong to."""
        if self._scopes:
            shown = {"op": "show", "scope": self._scopes[-1].id, "kind": kind, "content": content}
            if kind == "progress" and content["state"] == "running":
                self._written.tell(content["id"], shown)
                return
            try:
                self._send({**shown, "buffers": buffers} if buffers else shown)
            except FrameTooLarge:
                raise refusal("invalid_request", f"more than can be shown: {MAX_FRAME_BYTES >> 20} MiB") from None
            if kind.startswith("comm_") and (wait_s := self._comms.wait_s()) > 0:
                self.sleep(wait_s)

    def log(self, level: str, message: str, module: str | None, data: Any) -> None:
        """Sends a line for the kernel's log; nothing where no request runs that it could belong to."""
        if self._scopes:
            line = {"level": level, "message": message, "module": module, "data": data}
            self._send({"op": "log", "scope": self._scopes[-1].id, **line})

    def open(self, msg_type: str, content: dict[str, Any]) -> int:
        """Sends a request; returns its number."""
        scope = self._scope()
        number = next(self._numbers)
        self._asked[number] = Asked(scope.id)
        scope.requests.append(number)
        try:
            self._send({"op": "request", "scope": scope.id, "id": number, "msg_type": msg_type, "content": content})
        except FrameTooLarge:
            del self._asked[number]
            scope.requests.remove(number)
            raise refusal("invalid_request", f"more than a request holds: {MAX_FRAME_BYTES >> 20} MiB") from None
        return number

    def next_event(self, number: int) -> tuple[str, dict[str, Any]]:
        """Waits for what comes next of a request; a reply's buffers stand in its content as `buffers`."""
        asked = self._asked.get(number)
        if asked is None:
            raise refusal("invalid_request", "the request has ended")
        while not asked.events:
            self._wait(None)
        frame = asked.events.popleft()
        content: dict[str, Any] = frame["content"]
        if frame["op"] == "reply":
            self._asked.pop(number, None)
            if "buffers" in frame:
                content["buffers"] = frame["buffers"]
        return frame["op"], content

    def close(self, number: int) -> None:
        """Cancels a request; what still comes of it is dropped."""
        asked = self._asked.pop(number, None)
        if asked is not None:
            self._send({"op": "cancel", "scope": asked.scope, "id": number})

    def sleep(self, seconds: float) -> None:
        """Waits; other frames are served meanwhile."""
        deadline = monotonic() + seconds
        self.wait_for_other(True)
        try:
            while (left := deadline - monotonic()) > 0:
                self._wait(left)
        finally:
            self.wait_for_other(False)

    def wait_for_other(self, waiting: bool) -> None:
        """Tells the kernel that the script waits for something else, or goes on."""
        self._send({"op": "waiting", "scope": self._scope().id, "waiting": waiting})

    def read_line(self, prompt: str = "", *, password: bool = False) -> str | None:
        """A line of input from the client that started it all."""
        scope = self._scope()
        if scope.stdin == "none":
            return None
        if scope.stdin == "error":
            raise refusal("unsupported", "input is not possible here: the frontend does not allow it (allow_stdin)")
        self._send({"op": "input", "scope": scope.id, "prompt": prompt, "password": password})
        while not scope.input:
            self._wait(None)
        return scope.input.popleft()

    # What an attached debugger needs of us (`debugger.attachment.Commands`)

    @property
    def runs(self) -> bool:
        """Whether a script runs, waits or stands."""
        return bool(self._scopes)

    def command_waits(self) -> bool:
        """Whether a command of the debugger's is there."""
        return any(frame["op"] in _OF_DEBUGGERS for frame in self._pending)

    def take_command(self) -> Frame | None:
        """The debugger's next command that is there; one that runs as a call of its own is served on the way."""
        while (frame := self._pending.take(lambda one: one["op"] in _OF_DEBUGGERS)) is not None:
            if frame["op"] == "debug":
                return frame
            self._serve(frame)
        return None

    def aside(self, aside: bool) -> None:
        """From here on what runs within the script is a debugger's, and asks the kernel for nothing; or no more."""
        self._aside = aside

    def wait(self) -> None:
        """Waits until something has come and was served; raises `Stopped`."""
        self._wait(None)

    def answer_command(self, number: int, fields: Mapping[str, Any]) -> None:
        """Sends the answer to a command of the debugger's."""
        self._send_answer(number, fields)

    def tell(self, event: str, body: Any) -> None:
        """Sends an event of the debugger's; nothing where no script runs that it could be about."""
        if self._scopes:
            self._send({"op": "debug_event", "scope": self._scopes[-1].id, "event": event, "body": body})

    def _scope(self) -> Scope:
        if self._aside:
            raise refusal("forbidden", "conditions and messages of breakpoints can ask for nothing")
        if not self._scopes:
            told = "models, tools, sleep and input are there for a cell, script or function that runs, and none does"
            raise refusal("forbidden", told)
        return self._scopes[-1]

    # Frames

    def _send_text(self, scope: int, stream: str, text: str) -> None:
        self._send_next({"op": "stream", "scope": scope, "name": stream, "text": text})

    def _send(self, frame: Mapping[str, Any]) -> None:
        self._written.flush()
        self._send_next(frame)

    def _send_next(self, frame: Mapping[str, Any]) -> None:
        try:
            self._pipe.send(frame)
        except BrokenPipeError:
            _end()

    def _receive(self, timeout_s: float | None = None) -> Frame | None:
        try:
            return self._pipe.receive(timeout_s)
        except EOFError:
            _end()

    def _wait(self, timeout_s: float | None) -> None:
        """Waits until something has come and was sorted or served; raises `Stopped` when it says so."""
        if not self._stop and not self._serve_while_waiting():
            frame = self._receive(timeout_s)
            if frame is not None:
                self._sort(frame)
                self._serve_while_waiting()
        if self._stop:
            raise Stopped

    def _take_what_is_there(self) -> None:
        while (frame := self._receive(0)) is not None:
            self._sort(frame)

    def _sort(self, frame: Frame) -> None:
        op = frame["op"]
        if op in _ANSWERS:
            asked = self._asked.get(frame["id"])
            if asked is not None:
                asked.events.append(frame)
        elif op == "cancel":
            self._cancel(frame["id"])
        elif op == "input_reply":
            for scope in self._scopes:
                if scope.id == frame["scope"]:
                    scope.input.append(frame["text"])
        else:
            self._pending.append(frame)

    def _cancel(self, number: int) -> None:
        for scope in self._scopes:
            if scope.id == number:
                scope.stop = self._stop = True
        if self._pending.take(lambda one: one.get("id") == number) is not None:
            self._send({"op": "error", "id": number, "kind": "stopped", "message": "it had not begun"})

    def _serve_while_waiting(self) -> bool:
        """Serves what may be served in the middle of a script; serving one frame may bring further ones."""
        served = False
        while (frame := self._pending.take(self._may_serve)) is not None:
            self._serve(frame)
            served = True
        return served

    def _may_serve(self, frame: Frame) -> bool:
        if frame["op"] in _OF_DEBUGGERS and self._debugger is not None and self._debugger.stands:
            # The debugger takes it when it has its turn; until then it can be cancelled.
            return False
        return frame["op"] in _WHILE_WAITING

    def _serve(self, frame: Frame) -> None:
        op = frame["op"]
        if op in _AT_ONCE:
            self._sort(frame)
            return
        if op == "release":
            if self._sandbox is not None:
                self._sandbox.host.offered.pop(frame["fn"], None)
            return
        if op == "debug" and self._sandbox is not None:
            self._debugger_of(self._sandbox).serve(frame)
            return
        try:
            answer = self._answer(op, frame)
        except ScriptFailure as failure:
            answer = {"op": "error", **failure_fields(failure)}
        except NotConvertible as problem:
            answer = {"op": "error", "kind": "error", "message": str(problem)}
        except MemoryError:
            answer = {"op": "error", "kind": "memory", "message": "not enough memory"}
        self._send_answer(frame["id"], answer)

    def _send_answer(self, number: int, answer: Mapping[str, Any]) -> None:
        try:
            self._send({**answer, "id": number})
        except (FrameTooLarge, MemoryError):
            message = "the script's result is too large to be sent"
            self._send({"op": "error", "id": number, "kind": "error", "message": message})

    def _answer(self, op: str, frame: Frame) -> dict[str, Any]:
        if op == "start":
            return self._start(frame)
        sandbox = self._sandbox
        if sandbox is None:
            raise ScriptFailure("the script worker was not started")
        if op in _QUESTIONS:
            # Only for who asks: scripts that are run are asked nothing.
            from llmspell_kernel.scripting.lua import questions

            return {"op": "done", **questions.answer(sandbox, op, frame)}
        if op == "execute":
            sandbox.host.last_refusal = None
            return self._in_scope(frame, frame["stdin"], lambda: run_chunk(sandbox, frame))
        if op == "invoke":
            return self._in_scope(frame, "ask", lambda: call_function(sandbox, frame, self._debugger))
        if op == "debug_call":
            return self._in_scope(frame, "none", lambda: call_debugger(self._debugger_of(sandbox), sandbox, frame))
        raise ScriptFailure(f"unknown frame {op}")

    def _start(self, frame: Frame) -> dict[str, Any]:
        given = {name: frame[name] for name in ("stdlib", "max_memory_bytes", "sessions", "rag")}
        self._sandbox = Sandbox(self, **given)
        hold_address_space(4 * frame["max_memory_bytes"] + SCRIPT_SPARE_BYTES)
        return {"op": "done"}

    def _in_scope(self, frame: Frame, stdin: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        scope = Scope(frame["id"], stdin)
        self._scopes.append(scope)
        try:
            # A cancel that is behind this frame in the pipe is found before anything of it has run.
            self._take_what_is_there()
            if scope.stop:
                raise ScriptFailure("it had not begun", kind="stopped")
            self._send({"op": "began", "scope": scope.id})
            try:
                if self._debugger is not None and frame["op"] != "debug_call":
                    return self._debugger.watching(run, may_stop=frame.get("debug", True))
                return run()
            except ScriptFailure as failure:
                if failure.kind == "stopped" and scope.exit_status is not None:
                    return {"op": "done", "value": None, "text": None, "exit_code": scope.exit_status}
                raise
        finally:
            self._written.ended(scope.id)
            self._scopes.pop()
            if frame["op"] == "execute" and self._sandbox is not None:
                # What was granted for it ends with it.
                self._sandbox.host.reach.lent = nothing()
            self._stop = any(scope.stop for scope in self._scopes)
            if self._debugger is not None and not self._scopes:
                self._debugger.idle()
            # The kernel cancels what was not finished; what still comes of it is dropped.
            for number in scope.requests:
                self._asked.pop(number, None)

    def _debugger_of(self, sandbox: Sandbox) -> Attachment:
        if self._debugger is None:
            # Few scripts are debugged.
            from llmspell_kernel.scripting.lua.debugger.attachment import Attachment

            self._debugger = Attachment(sandbox, self)
        return self._debugger


def _end() -> NoReturn:
    """The kernel closed the pipe: so a worker is told to end, in the middle of a script or a program of it too."""
    end_left_behind()
    sys.stderr.flush()
    # Nothing is left to be tidied up, and taking the interpreter apart would cost more than it ran.
    os._exit(0)


def main() -> None:
    """Connects to the kernel and serves it."""
    pipe = connect_parent()
    adopt_orphans()
    Worker(pipe).run()


if __name__ == "__main__":
    main()
