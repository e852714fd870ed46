"""The bytes of a model from the Hugging Face hub: transferred by its library, several files at once, into our parts.

The library's own `hf_hub_download` begins again when its process has died. `http_get` below it makes the requests, goes
on after broken connections and sends Range; the file that it writes into is ours: kept, summed, counted, bounded.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from llmspell_protocol.pulls import PulledFile
from llmspell_providers.pulls.sources.comparison import Difference, fetch_compared, git_difference, sha256_difference
from llmspell_providers.pulls.sources.hub_client import (
    HubClient,
    PullStopped,
    TooManyRequests,
    Waiting,
    endpoint,
    first_line,
    refusal,
)
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.part import Part
from llmspell_providers.pulls.sources.pull_directory import Provenance, PullDirectory
from llmspell_providers.pulls.sources.remote import HubFile, LocalFile, SourceFailed

_PARALLEL = 4
_FRUITLESS_ATTEMPTS = 3
_BACKOFF_S = 0.5
_SERVER_IS_BUSY = (408, 500, 502, 503, 504)
_UNSATISFIABLE = 416


class HubTransfer:
    """Fetches the files of one model; what has come when a transfer ends in any way is where the next one goes on."""

    def __init__(self, partial: PullDirectory, meter: Meter) -> None:
        self._partial = partial
        self._meter = meter
        self._stopped = threading.Event()
        self._client = HubClient(self._stopped)

    def fetch(self, files: Sequence[HubFile], reason: str | None) -> list[LocalFile]:
        """Downloads the files or the rest of them and compares their sums; before, says what will come.

        Raises:
            SourceFailed: the hub does not deliver; what has come stays.
            ChecksumMismatch: the bytes are not the announced ones; they were deleted.
            DiskFull: the disk has no room for what is missing.
        """
        have = {file.name: self._prepared(file) for file in files}
        listed = [PulledFile(name=file.name, size_bytes=file.size_bytes) for file in files]
        self._meter.plan(listed, have=have, reason=reason)
        self._partial.require_free(sum(file.size_bytes - have[file.name] for file in files))
        with ThreadPoolExecutor(_PARALLEL) as pool:
            coming = [self._submitted(pool, file) for file in files]
        return [one.result() for one in _failures_first(coming)]

    def _submitted(self, pool: ThreadPoolExecutor, file: HubFile) -> Future[LocalFile]:
        coming = pool.submit(self._fetch, file)
        # Called by the thread whose file it was, before that thread takes another one.
        coming.add_done_callback(lambda done: self._stopped.set() if done.exception() is not None else None)
        return coming

    def _prepared(self, file: HubFile) -> int:
        """How many bytes of exactly this file are there; others go."""
        expected = _provenance(file)
        part = self._partial.part(file.name)
        known = self._partial.provenance(file.name)
        if known != expected or (part.exists() and part.stat().st_size > file.size_bytes):
            self._partial.discard(file.name)
        self._partial.note(file.name, expected)
        return part.stat().st_size if part.exists() else 0

    def _fetch(self, file: HubFile) -> LocalFile:
        return fetch_compared(
            self._partial, file.name, lambda: self._fetch_once(file), lambda landed: _difference(file, landed)
        )

    def _fetch_once(self, file: HubFile) -> LocalFile:
        path = self._partial.part(file.name)
        with Part(path) as part:
            if part.size():
                self._meter.check(file.name)
                part.read_existing()
            resumed_from = part.offset
            if part.offset < file.size_bytes:
                resumed_from = self._receive(file, part)
            part.sync()
            return LocalFile(
                name=file.name,
                path=path,
                size_bytes=part.offset,
                sha256=part.sha256.hexdigest(),
                resumed_from=resumed_from,
            )

    def _receive(self, file: HubFile, part: Part) -> int:
        """Requests the bytes, with retries; returns the offset from which on they came."""
        sink = _Sink(part, file, self._meter, self._stopped)
        waiting = Waiting(self._meter.note, self._stopped)
        self._client.begin()
        self._meter.begin(file.name, part.offset, file.size_bytes)
        fruitless = 0
        furthest = part.offset
        while part.offset < file.size_bytes:
            try:
                self._transfer(file, sink)
            except TooManyRequests as error:
                waiting.obey(error.asked_s)
                continue
            except _Broken as error:
                # A server that breaks off at the same place again and again, or begins anew, brings nothing.
                fruitless = 0 if part.offset > furthest else fruitless + 1
                furthest = max(furthest, part.offset)
                if fruitless >= _FRUITLESS_ATTEMPTS:
                    raise _lost(part.offset, str(error)) from None
                if self._stopped.wait(_BACKOFF_S * 2**fruitless):
                    raise PullStopped from None
        return sink.began_at

    def _transfer(self, file: HubFile, sink: _Sink) -> None:
        import httpx2
        from huggingface_hub import errors, get_token, hf_hub_url
        from huggingface_hub.file_download import http_get
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        headers = build_hf_headers(token=get_token(), library_name="llmspell")
        what = f"{file.repository}/{file.path}"
        try:
            http_get(
                # The address at the hub, not the signed one that it redirects to: that one runs out.
                hf_hub_url(file.repository, file.path, revision=file.commit, endpoint=endpoint()),
                cast("BinaryIO", sink),
                resume_size=sink.tell(),
                headers={**headers, "Accept-Encoding": "identity"},
                expected_size=file.size_bytes,
                displayed_filename=file.name,
            )
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status == _UNSATISFIABLE:
                sink.truncate()
            if status in _SERVER_IS_BUSY or status == _UNSATISFIABLE:
                raise _Broken(f"HTTP {status}") from None
            raise refusal(error, what) from None
        except (httpx2.ConnectError, httpx2.TimeoutException, httpx2.RemoteProtocolError) as error:
            raise _lost(sink.tell(), first_line(error)) from None  # the library has tried again already
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise _Broken(first_line(error)) from None
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SourceFailed(f"{what}: {endpoint()} does not answer like a hub ({first_line(error)})") from None
        except OSError as error:
            if error.errno is not None:
                raise  # the disk's
            raise _Broken(f"{sink.tell()} of {file.size_bytes} bytes came") from None


def _lost(offset: int, reason: str) -> SourceFailed:
    where = f"connection lost after {offset} bytes: " if offset else ""
    return SourceFailed(f"{where}{reason}", interrupted=offset > 0)


class _Broken(Exception):
    """A transfer ended early: another attempt may go on."""


class _Sink:
    """The file that the library writes into: a part that grows at its end, or is begun again."""

    def __init__(self, part: Part, file: HubFile, meter: Meter, stopped: threading.Event) -> None:
        self._part = part
        self._file = file
        self._meter = meter
        self._stopped = stopped
        self.began_at = part.offset

    def write(self, data: bytes) -> int:
        """Takes what has come, never more than was announced."""
        if self._stopped.is_set():
            raise PullStopped
        if self._part.offset + len(data) > self._file.size_bytes:
            self.truncate()
            raise SourceFailed(
                f"{self._file.path}: sends more than the {self._file.size_bytes} bytes that were announced"
            )
        self._part.append(data)
        self._meter.add(self._file.name, len(data))
        return len(data)

    def tell(self) -> int:
        """Where the next bytes go."""
        return self._part.offset

    def seek(self, offset: int, whence: int = 0) -> int:
        """The library goes back to the start, and only there, when a server ignores Range; then it truncates."""
        return offset

    def truncate(self, size: Any = None) -> int:
        """Begins again."""
        self._part.restart()
        self.began_at = 0
        self._meter.begin(self._file.name, 0, self._file.size_bytes)
        return 0


def _difference(file: HubFile, landed: LocalFile) -> Difference | None:
    return sha256_difference(file.sha256, landed) or git_difference(file.git_sha1, landed)


def _provenance(file: HubFile) -> Provenance:
    if file.sha256 is None and file.git_sha1 is None:
        address = f"{endpoint()}/{file.repository}@{file.commit}/{file.path}"
        return Provenance(size_bytes=file.size_bytes, address_hash=hashlib.sha256(address.encode()).hexdigest())
    return Provenance(size_bytes=file.size_bytes, sha256=file.sha256, git_sha1=file.git_sha1)


def _failures_first(coming: Sequence[Future[LocalFile]]) -> list[Future[LocalFile]]:
    """The one that stopped the others before these, then all in order."""
    failed = [one for one in coming if one.exception() is not None and not isinstance(one.exception(), PullStopped)]
    return [*failed, *coming]
