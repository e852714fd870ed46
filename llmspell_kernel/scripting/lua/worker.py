"""The child process of one script context: frames in, Lua, frames out. Single-threaded; it ends with its pipe.

It answers `start`, `execute`, `complete`, `is_complete`, `invoke`, `release`, `reset`, and takes `interrupt`,
`input_reply` and the `progress`, `delta` and `reply` of its own requests. It sends `ready`, `stream`, `log`, `input`,
`request`, `cancel`, `waiting`, and one `result` or `error` for each frame that it answers.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections import deque
from collections.abc import Mapping
from itertools import count
from time import monotonic
from typing import Any, NoReturn

from llmspell_kernel.scripting.lua.convert import NotConvertible
from llmspell_kernel.scripting.lua.files import Files
from llmspell_kernel.scripting.lua.host import Stopped
from llmspell_kernel.scripting.lua.refusals import refusal
from llmspell_kernel.scripting.lua.sandbox import Sandbox, ScriptFailure
from llmspell_protocol.child import connect_parent
from llmspell_protocol.frames import Frame, FramePipe, FrameTooLarge

_ANSWERS = frozenset({"progress", "delta", "reply"})
_WHILE_WAITING = frozenset({"invoke", "complete", "is_complete", "release"})
"""What is served in the middle of a script that waits for an answer."""

_SPARE_BYTES = 256 * 1024 * 1024


class Worker:
    """One script context."""

    def __init__(self, pipe: FramePipe) -> None:
        self._pipe = pipe
        self._sandbox: Sandbox | None = None
        self._execution = 0
        self._stop = False
        self._exit_status: int | None = None
        self._stdin = "none"
        self._numbers = count(1)
        self._events: dict[int, deque[Frame]] = {}
        self._input: deque[str | None] = deque()
        self._pending: deque[Frame] = deque()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

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
        """The script has ended."""
        self._stop = False

    def exit(self, status: int) -> None:
        """`os.exit`."""
        self._stop, self._exit_status = True, status

    def write(self, stream: str, data: bytes) -> None:
        """Sends output at once."""
        decoder = self._decoders.get(stream)
        if decoder is None:
            decoder = self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(data)
        # A single frame has a size limit, what a script prints has none.
        for start in range(0, len(text), 1 << 20):
            self._send({"op": "stream", "name": stream, "text": text[start : start + (1 << 20)]})

    def log(self, level: str, message: str, module: str | None, data: Any) -> None:
        """Sends a line for the kernel's log."""
        self._send({"op": "log", "level": level, "message": message, "module": module, "data": data})

    def open(self, msg_type: str, content: Mapping[str, Any]) -> int:
        """Sends a request; returns its number."""
        number = next(self._numbers)
        self._events[number] = deque()
        self._send({"op": "request", "id": number, "msg_type": msg_type, "content": dict(content)})
        return number

    def next_event(self, number: int) -> tuple[str, dict[str, Any]]:
        """Waits for what comes next of a request."""
        events = self._events.get(number)
        if events is None:
            raise refusal("invalid_request", "the request has ended")
        while not events:
            self._wait(None)
        frame = events.popleft()
        kind = str(frame["op"])
        if kind == "reply":
            del self._events[number]
        return kind, dict(frame["content"])

    def close(self, number: int) -> None:
        """Cancels a request; what still comes of it is dropped."""
        if self._events.pop(number, None) is not None:
            self._send({"op": "cancel", "id": number})

    def sleep(self, seconds: float) -> None:
        """Waits; other frames are served meanwhile."""
        deadline = monotonic() + seconds
        self._send({"op": "waiting", "waiting": True})
        try:
            while (left := deadline - monotonic()) > 0:
                self._wait(left)
        finally:
            self._send({"op": "waiting", "waiting": False})

    def read_line(self) -> str | None:
        """A line of input from whoever started the script."""
        if self._stdin == "none":
            return None
        if self._stdin == "error":
            raise refusal("unsupported", "input is not possible here: the frontend does not allow it (allow_stdin)")
        self._send({"op": "input", "prompt": ""})
        while not self._input:
            self._wait(None)
        return self._input.popleft()

    # Frames

    def _send(self, frame: Mapping[str, Any]) -> None:
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
            events = self._events.get(frame["id"])
            if events is not None:
                events.append(frame)
        elif op == "interrupt":
            if frame["execution"] == self._execution and not self._stop:
                self._stop = True
        elif op == "input_reply":
            self._input.append(frame["text"])
        else:
            self._pending.append(frame)

    def _serve_while_waiting(self) -> bool:
        """Serves what may be served in the middle of a script; serving one frame may bring further ones."""
        served = False
        while (frame := next((one for one in self._pending if one["op"] in _WHILE_WAITING), None)) is not None:
            self._pending.remove(frame)
            self._serve(frame)
            served = True
        return served

    def _serve(self, frame: Frame) -> None:
        op = frame["op"]
        if op in _ANSWERS or op in ("interrupt", "input_reply"):
            self._sort(frame)
            return
        try:
            answer = self._answer(op, frame)
        except ScriptFailure as failure:
            answer = {"op": "error", **_failure_fields(failure, self._hint(failure))}
        except NotConvertible as problem:
            answer = {"op": "error", "kind": "error", "message": str(problem)}
        except MemoryError:
            answer = {"op": "error", "kind": "memory", "message": "not enough memory"}
        if answer is None:
            return
        try:
            self._send({**answer, "id": frame["id"]})
        except (FrameTooLarge, MemoryError):
            message = "the script's result is too large to be sent"
            self._send({"op": "error", "id": frame["id"], "kind": "error", "message": message})

    def _answer(self, op: str, frame: Frame) -> dict[str, Any] | None:
        if op == "start":
            return self._start(frame)
        sandbox = self._sandbox
        if sandbox is None:
            raise ScriptFailure("the script worker was not started")
        if op == "execute":
            return self._execute(sandbox, frame)
        if op == "is_complete":
            return {"op": "result", "status": sandbox.is_complete(frame["code"])}
        if op == "complete":
            matches, replaced = sandbox.complete(frame["code"])
            return {"op": "result", "matches": matches, "replaced": replaced}
        if op == "invoke":
            function = sandbox.host.offered.get(frame["fn"])
            if function is None:
                raise ScriptFailure(f"function {frame['fn']} is not there any more", kind="not_found")
            return {"op": "result", "value": sandbox.call(function, frame["arguments"])}
        if op == "release":
            sandbox.host.offered.pop(frame["fn"], None)
            return None
        if op == "reset":
            sandbox.reset()
            return {"op": "result"}
        raise ScriptFailure(f"unknown frame {op}")

    def _start(self, frame: Frame) -> dict[str, Any]:
        self._sandbox = Sandbox(self, stdlib=frame["stdlib"], max_memory_bytes=frame["max_memory_bytes"])
        _limit_address_space(frame["max_memory_bytes"])
        return {"op": "ready"}

    def _execute(self, sandbox: Sandbox, frame: Frame) -> dict[str, Any]:
        self._execution = frame["id"]
        self._stop, self._exit_status = False, None
        self._stdin = frame["stdin"]
        self._input.clear()
        self._decoders.clear()
        sandbox.host.last_refusal = None
        try:
            return self._run_chunk(sandbox, frame)
        finally:
            self._execution = 0
            for number in list(self._events):
                self.close(number)

    def _run_chunk(self, sandbox: Sandbox, frame: Frame) -> dict[str, Any]:
        files = Files(frame["script_directory"], frame["working_directory"], frame["file_access"])
        sandbox.prepare(files=files, environment=frame["environment"])
        words = frame["arguments"]
        if words is not None:
            sandbox.set_arguments(frame["script"], words)
        try:
            value = sandbox.execute(frame["code"], frame["name"], words or (), expression_first=frame["cell"])
        except ScriptFailure as failure:
            if failure.kind == "stopped" and self._exit_status is not None:
                return {"op": "result", "value": None, "text": None, "exit_code": self._exit_status}
            raise
        if value.problem is not None and not frame["cell"]:
            raise ScriptFailure(f"the script's result has no form as data: {value.problem}", frame["name"])
        wanted = frame["data"] or not frame["cell"]
        answer = {"op": "result", "value": value.data if wanted else None, "text": value.text}
        if frame["expressions"]:
            answer["expressions"] = {name: self._evaluate(sandbox, text) for name, text in frame["expressions"].items()}
        return answer

    def _evaluate(self, sandbox: Sandbox, expression: str) -> dict[str, Any]:
        try:
            value = sandbox.evaluate(expression)
        except ScriptFailure as failure:
            if failure.kind == "stopped":
                raise
            return {"message": failure.message, "traceback": list(failure.traceback)}
        return {"text": value.text if value.text is not None else "nil"}

    def _hint(self, failure: ScriptFailure) -> str | None:
        if failure.cause is not None and failure.cause.get("hint"):
            return str(failure.cause["hint"])
        if failure.kind == "error" and self._sandbox is not None:
            return self._sandbox.suggestion(failure.message)
        return None


def _failure_fields(failure: ScriptFailure, hint: str | None) -> dict[str, Any]:
    cause = failure.cause
    return {
        "kind": failure.kind,
        "message": failure.message,
        "script": failure.script,
        "line": failure.line,
        "traceback": list(failure.traceback),
        "hint": hint,
        "cause": None if cause is None else {key: cause.get(key) for key in ("code", "message", "hint", "details")},
    }


def _limit_address_space(max_memory_bytes: int) -> None:
    """Python's half of a worker can't grow without end either; macOS has no such limit."""
    try:
        with open("/proc/self/statm", "rb") as file:
            pages = int(file.read().split()[0])
    except OSError:
        return
    import resource

    limit = pages * resource.getpagesize() + 4 * max_memory_bytes + _SPARE_BYTES
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _end() -> NoReturn:
    """The kernel closed the pipe, which is how a worker is told to end, in the middle of a script too."""
    sys.stderr.flush()
    # Nothing is left to be tidied up, and taking the interpreter apart would cost more than it ran.
    os._exit(0)


def main() -> None:
    """Connects to the kernel and serves it."""
    Worker(connect_parent()).run()


if __name__ == "__main__":
    main()
