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
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.events.event import Event
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.background import of_no_request

if TYPE_CHECKING:
    from llmspell_profiles.schema.events import EventsSettings

log = logging.getLogger(__name__)

WriteEvent = Callable[[Mapping[str, Any], str], None]
"""Prints an event, `(content, its JSON)`, where the kernel's own output goes; may block."""

BATCH = 100
"""Events that are written, or posted, at once."""
QUEUED_BYTES = 64 * 1024 * 1024
"""The data of events that wait, however few they are."""
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
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._bytes -= sum(event.size for event in batch)
            contents = [self._redactor.value(event.as_content()) for event in batch]
            text = "".join(f"{self._line(content)}\n" for content in contents)
            done = [await self._sent(where, send) for where, send in self._ways(contents, text)]
            if all(done):
                self.exported += len(batch)
            else:
                self.dropped += len(batch)

    def _line(self, content: Mapping[str, Any]) -> str:
        return json.dumps(content, ensure_ascii=False, default=str, indent=2 if self._export.pretty_json else None)

    def _write_all(self, contents: Sequence[Mapping[str, Any]]) -> None:
        for content in contents:
            self._write_event(content, self._line(content))

    def _ways(self, contents: Sequence[Any], text: str) -> Sequence[tuple[str, Callable[[], Any]]]:
        ways: list[tuple[str, Callable[[], Any]]] = []
        export = self._export
        if export.file is not None:
            path = export.file
            ways.append((str(path), lambda: _on_a_thread(lambda: _append(path, text))))
        if export.stdout:
            ways.append(("stdout", lambda: _on_a_thread(lambda: self._write_all(contents))))
        if export.webhook is not None:
            url = str(export.webhook)
            ways.append(("the webhook", lambda: _post(url, contents)))
        return ways

    async def _sent(self, where: str, send: Callable[[], Any]) -> bool:
        """Whether a batch got where it is to go; that it did not is told once, until it does again."""
        problem = await _problem(send)
        if problem is None:
            self._failed.discard(where)
            return True
        if where not in self._failed:
            self._failed.add(where)
            log.warning("events can't be exported to %s and are dropped: %s", where, problem)
        return False


async def _problem(send: Callable[[], Any]) -> str | None:
    # Only an export to a webhook has it loaded.
    try:
        await send()
    except OSError as error:
        return error.strerror or type(error).__name__
    except _Refused as refused:
        return str(refused)
    return None


class _Refused(Exception):
    """The webhook's server did not take a batch."""


async def _on_a_thread(write: Callable[[], None]) -> None:
    """Writes on a thread of its own, which keeps nothing from ending: a pipe may have no reader for ever."""
    loop = asyncio.get_running_loop()
    written: asyncio.Future[None] = loop.create_future()

    def tell(problem: OSError | None) -> None:
        if not written.done():
            if problem is None:
                written.set_result(None)
            else:
                written.set_exception(problem)

    def run() -> None:
        try:
            write()
        except OSError as error:
            problem: OSError | None = error
        else:
            problem = None
        with suppress(RuntimeError):  # The loop has ended meanwhile.
            loop.call_soon_threadsafe(tell, problem)

    threading.Thread(target=run, name="export of events", daemon=True).start()
    await written


def _append(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8", errors="replace") as file:
        file.write(text)


def _to_stdout(_content: Mapping[str, Any], text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _post(url: str, contents: Sequence[Any]) -> None:
    # Few kernels post their events.
    import httpx2

    try:
        async with httpx2.AsyncClient(timeout=POST_WITHIN_S, follow_redirects=False) as client:
            answer = await client.post(url, json=list(contents))
    except httpx2.HTTPError as error:
        raise _Refused(f"{type(error).__name__}") from None
    if answer.status_code >= 300:
        raise _Refused(f"it answered {answer.status_code}")
