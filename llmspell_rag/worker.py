"""The process that has a kernel's collections open. What it is asked stands in the protocol, `rag/ops.py`.

One thread reads frames, one writes to the database and sees to the indexes, a few read. A database in memory is read
by the one that writes. It ends with the pipe; each document that was committed is on the disk by then.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from llmspell_protocol.child import connect_parent
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import Cancelled, InvalidRequest, LlmspellError, OutOfMemory
from llmspell_protocol.frames import Frame, FramePipe
from llmspell_protocol.incidents import incident_in_worker
from llmspell_protocol.rag.ops import OPS, Nothing, Open
from llmspell_protocol.worker_memory import is_for_want_of_memory
from llmspell_rag.calls import Calls

READERS = 4
_CHECK_AFTER_S = 2.0
"""So long without a write, and mapped files are read to see whether they are sound."""
_EXPIRE_EVERY_S = 60.0
_PROGRESS_S = 0.2
_REST_S = 30.0
"""After a failure, what no call has asked for is tried again so much later."""


class _Call:
    """A frame that is to be answered."""

    def __init__(self, frame: Frame) -> None:
        self.id = frame["id"]
        self.frame = frame
        self.cancelled = threading.Event()

    def go_on(self) -> bool:
        """Whether it is still wanted."""
        return not self.cancelled.is_set()


class Worker:
    """The threads of the process."""

    def __init__(self, pipe: FramePipe) -> None:
        self._pipe = pipe
        self._open: dict[int, _Call] = {}
        self._writes: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._reads: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._calls: Calls | None = None
        self._rests_until = 0.0
        self._ending = threading.Event()

    def run(self) -> None:
        """Answers frames until the kernel closes the pipe."""
        writer = threading.Thread(target=self._write, name="rag-writer", daemon=True)
        readers = [threading.Thread(target=self._read, name=f"rag-reader-{at}", daemon=True) for at in range(READERS)]
        for thread in (writer, *readers):
            thread.start()
        try:
            while True:
                frame = self._pipe.receive()
                if frame is not None:
                    self._take(frame)
        except (EOFError, BrokenPipeError):
            pass  # The kernel has ended.
        self._ending.set()
        for call in list(self._open.values()):
            call.cancelled.set()
        for _ in readers:
            self._reads.put(None)
        self._writes.put(None)
        for thread in (*readers, writer):
            thread.join()
        if self._calls is not None:
            self._calls.close()

    def _take(self, frame: Frame) -> None:
        if frame["op"] == "cancel":
            call = self._open.get(frame["id"])
            if call is not None:
                call.cancelled.set()
            return
        call = self._open[frame["id"]] = _Call(frame)
        op = OPS.get(frame["op"])
        in_memory = self._calls is None or self._calls.store.path is None
        (self._writes if op is None or op.writes or in_memory else self._reads).put(call)

    def _read(self) -> None:
        while (call := self._reads.get()) is not None:
            self._answer(call)

    def _write(self) -> None:
        expire_at = 0.0
        while True:
            try:
                call = self._writes.get(timeout=self._wait(expire_at))
            except queue.Empty:
                if self._calls is not None:
                    expire_at = self._tend(self._calls, expire_at)
                continue
            if call is None:
                break
            self._answer(call)
        if self._calls is not None:
            self._quietly(self._calls.save)

    def _wait(self, expire_at: float) -> float | None:
        """How long a write is waited for before there is something to be done."""
        if self._calls is None:
            return None
        rest = self._rests_until - time.monotonic()
        if rest > 0:
            return rest
        if any(entry.layers.wants_merge for entry in self._calls.indexes.open_entries):
            return 0.0
        waits = [max(0.0, expire_at - time.monotonic()), _EXPIRE_EVERY_S]
        due = self._calls.indexes.save_due()
        if due is not None:
            waits.append(due)
        if self._calls.indexes.has_unchecked:
            waits.append(_CHECK_AFTER_S)
        return min(waits)

    def _tend(self, calls: Calls, expire_at: float) -> float:
        """Does a part of what is to be done; returns when it is to be looked for what has expired."""
        if self._quietly(lambda: calls.indexes.work(self._is_idle)):
            return expire_at
        if time.monotonic() >= expire_at:
            self._quietly(lambda: calls.act("expire", OPS["expire"].request(), self._goes_on, _no_progress))
            expire_at = time.monotonic() + _EXPIRE_EVERY_S
        self._quietly(lambda: calls.save(older_than_s=calls.store.settings.save_interval_s))
        self._quietly(lambda: calls.indexes.check(self._is_idle))
        return expire_at

    def _is_idle(self) -> bool:
        return self._writes.empty() and not self._ending.is_set()

    def _goes_on(self) -> bool:
        return not self._ending.is_set()

    def _quietly(self, work: Callable[[], Any]) -> Any:
        """What no call has asked for: what fails is told to the log, and tried again."""
        try:
            return work()
        except LlmspellError as error:
            print(f"{error.code}: {error.message}", file=sys.stderr)  # noqa: T201 — this is the worker's log
        except Exception as error:  # noqa: BLE001 - a boundary: the calls go on
            incident_in_worker(error, f"the indexes of RAG: {type(error).__name__}: {error}")
        self._rests_until = time.monotonic() + _REST_S
        return None

    def _answer(self, call: _Call) -> None:
        last: dict[str, Any] = {"op": "error", "id": call.id}
        try:
            last |= {"op": "done", **to_content(self._act(call))}
        except LlmspellError as error:
            last["error"] = error.to_content()
        except Exception as error:  # noqa: BLE001 - the worker's boundary: whatever it is, the kernel is told
            if is_for_want_of_memory(error):
                last["error"] = OutOfMemory(
                    "the worker of RAG has no more memory", hint="remove documents, or look for fewer at once"
                ).to_content()
            else:
                text = f"RAG's '{call.frame['op']}' failed: {type(error).__name__}: {error}"
                last["error"] = incident_in_worker(error, text).to_content()
        self._open.pop(call.id, None)
        try:
            self._send(last)
        except (TypeError, ValueError, MemoryError) as error:
            problem = InvalidRequest(f"the answer can't be sent: {error}", hint="ask for fewer at once")
            self._send({"op": "error", "id": call.id, "error": problem.to_content()})

    def _act(self, call: _Call) -> Any:
        op = OPS.get(call.frame["op"])
        if op is None:
            raise InvalidRequest(f"the worker of RAG has no op '{call.frame['op']}'")
        try:
            record = op.request.from_content(call.frame)
        except TypeError as error:
            raise InvalidRequest(f"RAG's '{call.frame['op']}': {error}") from None
        if isinstance(record, Open):
            if self._calls is not None:
                raise InvalidRequest("the database is open already")
            self._calls = Calls(record)
            return Nothing()
        if self._calls is None:
            raise InvalidRequest("the database is not open")
        if not call.go_on():
            raise Cancelled("it was cancelled")
        return self._calls.act(call.frame["op"], record, call.go_on, self._progress(call))

    def _progress(self, call: _Call) -> Callable[[int, int], None]:
        told = 0.0

        def tell(done: int, total: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _PROGRESS_S or done == total:
                told = now
                self._send({"op": "progress", "id": call.id, "done": done, "total": total})

        return tell

    def _send(self, frame: dict[str, Any]) -> None:
        try:
            self._pipe.send(frame)
        except BrokenPipeError:
            self._ending.set()


def _no_progress(_: int, __: int) -> None:
    pass


def main() -> None:
    """Runs until the kernel ends, or ends it."""
    Worker(connect_parent()).run()
    # Everything is closed: to take numpy apart as well would let the kernel wait for it.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
