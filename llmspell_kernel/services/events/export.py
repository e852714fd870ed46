"""Events on their way out: to a file, to the kernel's own output, to a webhook; never the loop's time.

What is written waits in a bounded queue, whose oldest are dropped and counted. Secrets are taken out of the data first:
values of keys that are named like one, and the keys that the kernel's environment holds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from llmspell_kernel.services.events.event import Event
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.background import of_no_request
from llmspell_protocol.incidents import incident_number

if TYPE_CHECKING:
    from llmspell_profiles.schema.events import EventsSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

WriteEvent = Callable[[Mapping[str, Any], str], None]
"""Prints an event, `(content, its JSON)`, where the kernel's own output goes; may block."""

BATCH = 100
"""Events that are written, or posted, at once."""
BATCH_BYTES = 8 * 1024 * 1024
"""What they take in memory; one that takes more is written by itself."""
QUEUED_BYTES = 64 * 1024 * 1024
"""What the events take that wait, however few they are."""
POST_WITHIN_S = 10.0
CLOSE_WITHIN_S = 2.0


class Exporter:
    """Writes events as `[events.export]` says; belongs to the loop."""

    def __init__(self, settings: EventsSettings, redactor: Redactor, write_event: WriteEvent | None) -> None:
        self.exported = 0
        """Events that were written or posted everywhere."""
        self.dropped = 0
        """Events that were pushed out of the queue, or could not be written."""
        self._export = settings.export
        self._write_event = write_event or _to_stdout
        self._redactor = redactor
        self._queue: deque[Event] = deque()
        self._size = settings.buffer_size
        self._bytes = 0
        self._come = asyncio.Event()
        self._closing = False
        self._failed: set[str] = set()
        self._task = of_no_request(asyncio.get_running_loop().create_task, self._run())

    def add(self, event: Event) -> None:
        """Queues an event."""
        self._queue.append(event)
        self._bytes += event.size
        while len(self._queue) > self._size or self._bytes > QUEUED_BYTES:
            self._bytes -= self._queue.popleft().size
            self.dropped += 1
        self._come.set()

    async def close(self) -> None:
        """Writes what is queued, and ends; what takes longer than `CLOSE_WITHIN_S` is dropped."""
        self._closing = True
        self._come.set()
        await asyncio.wait({self._task}, timeout=CLOSE_WITHIN_S)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while self._queue or not self._closing:
            if not self._queue:
                self._come.clear()
                await self._come.wait()
                continue
            batch = self._next_batch()
            try:
                written = await self._written(batch)
            except Exception:  # The events that come next are to be written.
                log.exception("incident %s: events can't be exported and are dropped", incident_number())
                written = 0
            self.exported += written
            self.dropped += len(batch) - written

    async def _written(self, batch: Sequence[Event]) -> int:
        """How many events of a batch got everywhere."""
        ready = await _on_a_thread(lambda: self._prepared(batch))
        if not ready.contents:
            return 0
        done = [await self._sent(where, send) for where, send in self._ways(ready)]
        return len(ready.contents) if all(done) else 0

    def _next_batch(self) -> Sequence[Event]:
        batch = [self._queue.popleft()]
        size = batch[0].size
        while self._queue and len(batch) < BATCH and size + self._queue[0].size <= BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += batch[-1].size
        self._bytes -= size
        return batch

    # On a thread: what takes long for large events

    def _prepared(self, batch: Sequence[Event]) -> _Batch:
        """The events as they are written; one that can't be written is left out, which the log tells."""
        contents, lines = [], []
        for event in batch:
            try:
                content = self._redactor.value(event.as_content())
                line = self._line(content)
            except Exception:  # Whatever is wrong with one event, the others are to be written.
                log.exception("incident %s: an event can't be exported and is dropped", incident_number())
                continue
            contents.append(content)
            lines.append(line)
        posted = f"[{','.join(lines)}]" if self._export.webhook is not None else ""
        return _Batch(contents, lines, posted.encode(errors="replace"))

    def _line(self, content: Mapping[str, Any]) -> str:
        return json.dumps(content, ensure_ascii=False, default=str, indent=2 if self._export.pretty_json else None)

    def _print(self, batch: _Batch) -> None:
        for content, line in zip(batch.contents, batch.lines, strict=True):
            self._write_event(content, line)

    # Where it goes

    def _ways(self, batch: _Batch) -> Sequence[tuple[str, Callable[[], Awaitable[None]]]]:
        ways: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        export = self._export
        if export.file is not None:
            path = export.file
            ways.append((str(path), lambda: _on_a_thread(lambda: _append(path, batch.lines))))
        if export.stdout:
            ways.append(("stdout", lambda: _on_a_thread(lambda: self._print(batch))))
        if export.webhook is not None:
            url = str(export.webhook)
            ways.append(("the webhook", lambda: _post(url, batch.posted)))
        return ways

    async def _sent(self, where: str, send: Callable[[], Awaitable[None]]) -> bool:
        """Whether a batch got where it is to go; that it did not is told once, until it does again."""
        problem: str
        defect: Exception | None = None
        try:
            await send()
        except OSError as error:
            problem = error.strerror or type(error).__name__
        except _Refused as refused:
            problem = str(refused)
        except Exception as error:  # noqa: BLE001 — the log has its traceback
            problem, defect = f"incident {incident_number()}", error
        else:
            self._failed.discard(where)
            return True
        if where not in self._failed:
            self._failed.add(where)
            log.warning("events can't be exported to %s and are dropped: %s", where, problem, exc_info=defect)
        return False


class _Batch(NamedTuple):
    """Events ready to be written, without secrets: as they are, each as JSON, and all together as they are posted."""

    contents: Sequence[Mapping[str, Any]]
    lines: Sequence[str]
    posted: bytes


class _Refused(Exception):
    """The webhook's server did not take a batch."""


async def _on_a_thread(work: Callable[[], T]) -> T:
    """Works on a thread of its own, which keeps nothing from ending: a pipe may have no reader for ever."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, problem: Exception | None) -> None:
        if done.done():
            return
        if problem is None:
            done.set_result(cast("T", result))
        else:
            done.set_exception(problem)

    def run() -> None:
        result: T | None = None
        problem: Exception | None = None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 — it is raised where the work is waited for
            problem = error
        with suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(tell, result, problem)

    threading.Thread(target=run, name="export of events", daemon=True).start()
    return await done


def _append(path: Path, lines: Sequence[str]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
        file.write("".join(f"{line}\n" for line in lines))


def _to_stdout(_content: Mapping[str, Any], text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _post(url: str, events: bytes) -> None:
    # Few kernels post their events.
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=POST_WITHIN_S, follow_redirects=False) as client:
            answer = await client.post(url, content=events, headers={"Content-Type": "application/json"})
    except httpx2.HTTPError as error:
        raise _Refused(f"{type(error).__name__}") from None
    if answer.status_code >= 300:
        raise _Refused(f"it answered {answer.status_code}")
