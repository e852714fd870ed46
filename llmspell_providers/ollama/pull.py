"""A pull of Ollama's: its lines added up, since it reports layer by layer and we report one model; never in silence."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.errors import LlmspellError, Timeout
from llmspell_protocol.pulls import Phase, PullProgress, PullResult
from llmspell_providers.http.fields import Misshapen
from llmspell_providers.http.fields import count as counted
from llmspell_providers.http.fields import text as read_text
from llmspell_providers.ollama.failures import is_foreign, pull_error
from llmspell_providers.ollama.server import FOREIGN

if TYPE_CHECKING:
    from llmspell_providers.ollama.server import OllamaServer

T = TypeVar("T")

_BIG_LAYER_BYTES = 1 << 20
"""What can't have come between two lines; small layers are whole in their first line."""


async def pulled(
    server: OllamaServer, name: str, *, backend: str, silence_s: int
) -> AsyncGenerator[PullProgress, None]:
    """Makes the server download a model, and tells how far it is; closing the iterator stops it.

    Raises:
        ModelNotFound, DownloadError and its children: what the server says went wrong.
        BackendUnavailable, Timeout: it went away, or said nothing for `silence_s` seconds.
    """
    count = LayerCount(name, backend)
    await server.ready()
    client = await server.client()

    def failed(text: str, status: int) -> LlmspellError:
        if is_foreign(text, status):
            return server.unavailable(FOREIGN, why=f"status {status}: {text[:100]}")
        return pull_error(text, status, model=name, backend=backend)

    with server.failures(failed):
        lines = await _in_time(client.lines("/api/pull", {"model": name}), name, backend, silence_s)
    async with aclosing(lines):
        while True:
            with server.failures(failed):
                line = await _in_time(anext(lines, None), name, backend, silence_s)
                progress = None if line is None else count.progress(line)
            if progress is None:
                break
            yield progress
    if not count.succeeded:
        raise server.unavailable("the stream ended in the middle of the pull")
    yield count.complete()


async def _in_time(asked: Awaitable[T], name: str, backend: str, silence_s: int) -> T:
    try:
        # A pull may take hours, but not in silence: there is a line about every 60 ms.
        async with asyncio.timeout(silence_s):
            return await asked
    except TimeoutError:
        raise Timeout(
            f"{backend} said nothing for {silence_s} s while it pulled '{name}'",
            hint="the next pull goes on where this one stopped",
            details={"timeout_s": silence_s, "model": name},
        ) from None


class LayerCount:
    """How far all layers of a model are."""

    def __init__(self, model: str, backend: str) -> None:
        self._model = model
        self._backend = backend
        self._layers: dict[str, tuple[int, int]] = {}
        self._came_whole = True
        self._first: tuple[float, int] | None = None
        self._phase: Phase = "resolving"
        self._first_line: dict[str, int] = {}
        self._there: dict[str, int] = {}
        self.succeeded = False

    def progress(self, line: Mapping[str, Any]) -> PullProgress:
        """Where the pull stands after a line; raises `Misshapen` for one that is no line of a pull."""
        status, digest = read_text(line.get("status"), "status"), read_text(line.get("digest"), "digest")
        if not line.keys() & {"status", "digest"}:
            raise Misshapen("a line that tells nothing of a pull")
        self.succeeded = status == "success"
        if digest:
            self._phase = "downloading"
            total = counted(line.get("total"), "total")
            done = min(counted(line.get("completed"), "completed"), total)
            if digest not in self._layers and done < total:
                self._came_whole = False
            self._note_what_was_there(digest, done, total)
            self._layers[digest] = (done, total)
        elif status.startswith(("verifying", "writing")):
            self._phase = "verifying"
        downloaded, total_bytes = self._sums()
        speed = self._bytes_per_second(downloaded)
        left = total_bytes - downloaded
        return PullProgress(
            phase=self._phase,
            file=digest or None,
            bytes_downloaded=downloaded,
            bytes_total=total_bytes or None,
            percent_complete=round(100 * downloaded / total_bytes, 1) if total_bytes else 0.0,
            bytes_per_second=speed,
            eta_s=left / speed if speed else None,
        )

    def complete(self) -> PullProgress:
        """The last item; Ollama goes on where an earlier pull stopped, `resumed_from` as far as its lines show it."""
        downloaded, total = self._sums()
        was_there = self._came_whole and bool(self._layers)
        there = sum(self._there.values())
        result = PullResult(
            model_id=self._model,
            backend=self._backend,
            download_status="already_present" if was_there else "complete",
            bytes_downloaded=0 if was_there else downloaded - there,
            bytes_total=total,
            sha256=None,
            resumed_from=0 if was_there else there,
            path=None,
            format="gguf",
            source="https://ollama.com/library",
        )
        return PullProgress(
            phase="complete", bytes_downloaded=downloaded, bytes_total=total, percent_complete=100.0, result=result
        )

    def _note_what_was_there(self, digest: str, done: int, total: int) -> None:
        """A layer's first line counts what was there and what has come since, its second one only the latter."""
        first = self._first_line.get(digest)
        if first is None:
            self._first_line[digest] = done
            if done == total and total >= _BIG_LAYER_BYTES:
                self._there[digest] = total
        elif self._layers[digest][0] == first and done > first and digest not in self._there:
            came = done - first
            # As fast before the first line as after it; less than that again is only a guess.
            self._there[digest] = first - came if first > 2 * came else 0

    def _sums(self) -> tuple[int, int]:
        return sum(done for done, _ in self._layers.values()), sum(total for _, total in self._layers.values())

    def _bytes_per_second(self, downloaded: int) -> float | None:
        now = time.monotonic()
        if self._first is None:
            self._first = (now, downloaded)
            return None
        began, before = self._first
        return max(0.0, (downloaded - before) / (now - began)) if now > began else None
