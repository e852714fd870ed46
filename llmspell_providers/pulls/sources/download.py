"""One file from a web address or a package index, resumable to the byte, never more of it than announced.

Sums are computed on the way. A process that is ended at any moment leaves bytes in a `PullDirectory` that the next one
continues.
"""

from __future__ import annotations

import hashlib
import re
import time

import httpx2

from llmspell_protocol.plain_reasons import plain_reason
from llmspell_protocol.proxies import check_proxies
from llmspell_providers.http.bodies import without_body
from llmspell_providers.pulls.sources.comparison import fetch_compared, sha256_difference
from llmspell_providers.pulls.sources.destinations import check_request
from llmspell_providers.pulls.sources.meter import Meter
from llmspell_providers.pulls.sources.part import Part
from llmspell_providers.pulls.sources.pull_directory import Provenance, PullDirectory
from llmspell_providers.pulls.sources.remote import LocalFile, RemoteFile, SourceFailed

_CONNECT_S = 10.0
_SILENCE_S = 30.0
_FRUITLESS_ATTEMPTS = 3
_MAX_CONNECTIONS = 100
_BACKOFF_S = 0.5
_UNSATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")


def open_client(first_host: str) -> httpx2.Client:
    """A client for an address at `first_host`, with the proxies of the environment.

    It follows redirects to https only (http: loopback), and never from elsewhere into this machine's network.

    Raises:
        ConfigError: a proxy of the environment can't be used.
    """
    check_proxies()
    return httpx2.Client(
        follow_redirects=True,
        timeout=httpx2.Timeout(_SILENCE_S, connect=_CONNECT_S),
        headers={"User-Agent": "llmspell", "Accept-Encoding": "identity"},
        event_hooks={
            "request": [lambda request: check_request(request.url.scheme, request.url.host, first_host)],
            "response": [_look_at],
        },
    )


def _look_at(response: httpx2.Response) -> None:
    if response.status_code >= 300:
        without_body(response)


class _Cut(Exception):
    """The connection ended, or the server asks to come back: another attempt may go on."""


class Downloader:
    """Fetches files into a partial directory."""

    def __init__(self, partial: PullDirectory, meter: Meter, client: httpx2.Client) -> None:
        self._partial = partial
        self._meter = meter
        self._client = client
        self._reserve_bytes = 0

    def fetch(self, file: RemoteFile, *, reserve_bytes: int = 0) -> LocalFile:
        """Downloads a file or the rest of it, and compares its sums with the announced ones.

        `reserve_bytes`: what the disk must take besides, later.

        Raises:
            SourceFailed: the server does not deliver; what has come stays.
            ChecksumMismatch: the bytes are not the announced ones; they were deleted.
            DiskFull: the disk has no room for what is missing.
        """
        self._reserve_bytes = reserve_bytes
        return fetch_compared(
            self._partial,
            file.name,
            lambda: self._fetch_once(file),
            lambda landed: sha256_difference(file.sha256, landed),
        )

    def _fetch_once(self, file: RemoteFile) -> LocalFile:
        known = self._partial.provenance(file.name)
        with Part(self._partial.part(file.name)) as part:
            if part.size():
                if _continues(known, file):
                    part.read_existing()
                else:
                    part.restart()
            size = file.size_bytes
            if size is None and known is not None and part.offset:
                size = known.size_bytes
            if size is not None and part.offset > size:
                part.restart()
            resumed_from = part.offset
            self._meter.begin(file.name, part.offset, size)
            if part.offset != size:
                if size is not None:
                    self._partial.require_free(size - part.offset + self._reserve_bytes)
                resumed_from = self._receive(file, part)
            part.sync()
            return LocalFile(
                name=file.name,
                path=self._partial.part(file.name),
                size_bytes=part.offset,
                sha256=part.sha256.hexdigest(),
                resumed_from=resumed_from,
            )

    def _receive(self, file: RemoteFile, part: Part) -> int:
        """Connects as often as it takes; returns from which offset the first answer went on."""
        fruitless = 0
        furthest = part.offset
        resumed_from: int | None = None
        for _ in range(_MAX_CONNECTIONS):
            before = part.offset
            try:
                started_at = self._connect(file, part)
                return started_at if resumed_from is None else resumed_from
            except (httpx2.TransportError, _Cut) as error:
                reason = plain_reason(str(error)) or type(error).__name__
                if resumed_from is None and part.offset > before:
                    resumed_from = before
                refused = isinstance(error, (httpx2.ConnectError, httpx2.UnsupportedProtocol, httpx2.ProxyError))
                fruitless = 0 if part.offset > furthest else fruitless + 1
                furthest = max(furthest, part.offset)
                if fruitless >= _FRUITLESS_ATTEMPTS or (refused and not part.offset):
                    break
                if fruitless:
                    time.sleep(_BACKOFF_S * 2**fruitless)
            except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
                # A name that no resolver takes, of the address or of a redirect, is a ValueError.
                reason = plain_reason(str(error)) or type(error).__name__
                break
        raise SourceFailed(
            f"connection lost after {part.offset} bytes: {reason}" if part.offset else reason,
            interrupted=part.offset > 0,
        )

    def _connect(self, file: RemoteFile, part: Part) -> int:
        headers = {}
        # Noted by each answer: what came from one of them is continued by the next only if both are of one file.
        known = self._partial.provenance(file.name) if part.offset else None
        if part.offset and file.sha256 is None:
            if known is None or known.validator is None:
                part.restart()  # nothing would tell whether the rest is of the same file
            else:
                headers["If-Range"] = known.validator
        if part.offset:
            headers["Range"] = f"bytes={part.offset}-"
        with self._client.stream("GET", file.url, headers=headers) as response:
            total = self._announced(file, response, part, known)
            started_at = part.offset
            validator = _validator(response.headers)
            if validator is None and started_at and known is not None:
                validator = known.validator  # an answer to If-Range may leave the date out
            self._partial.note(file.name, _provenance(file, total, validator))
            self._partial.require_free(total - part.offset + self._reserve_bytes)
            self._meter.begin(file.name, part.offset, total)
            for data in response.iter_raw():
                if part.offset + len(data) > total:
                    raise SourceFailed(f"sends more than the {total} bytes that it announced")
                part.append(data)
                self._meter.add(file.name, len(data))
        if part.offset < total:
            raise _Cut(f"{part.offset} of {total} bytes came")
        return started_at

    def _announced(self, file: RemoteFile, response: httpx2.Response, part: Part, known: Provenance | None) -> int:
        """The whole file's size by the answer's headers, with the part at the place where the body goes on."""
        status = response.status_code
        if status == _UNSATISFIABLE and part.offset:
            part.restart()
            raise _Cut("the file has become shorter")
        if status == httpx2.codes.TOO_MANY_REQUESTS or status >= 500:
            raise _Cut(f"HTTP {status}")
        if status not in (httpx2.codes.OK, httpx2.codes.PARTIAL_CONTENT):
            raise SourceFailed(f"HTTP {status}", missing=status in (404, 410))
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise SourceFailed(f"answers with Content-Encoding {response.headers['Content-Encoding'][:80]!r}")
        if status == httpx2.codes.PARTIAL_CONTENT:
            place = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if place is None or int(place[1]) != part.offset or place[2] == "*":
                why = f"answers with Content-Range {response.headers.get('Content-Range', '')[:80]!r}"
                if not part.offset:
                    raise SourceFailed(why)
                part.restart()
                raise _Cut(why)
            total = int(place[2])
            if part.offset and not _is_same(file, known, total, _validator(response.headers)):
                part.restart()
                raise _Cut("the file has changed")
        else:
            if part.offset:
                part.restart()
            length = response.headers.get("Content-Length", "")
            if not _LENGTH.fullmatch(length):
                raise SourceFailed("does not say how long the file is")
            total = int(length)
        if file.size_bytes is not None and total != file.size_bytes:
            raise SourceFailed(f"announces {total} bytes in place of {file.size_bytes}")
        return total


def _address_hash(file: RemoteFile) -> str:
    # The address itself may hold a secret.
    return hashlib.sha256(file.url.encode()).hexdigest()


def _provenance(file: RemoteFile, total: int, validator: str | None) -> Provenance:
    if file.sha256 is not None:
        return Provenance(size_bytes=total, sha256=file.sha256)
    return Provenance(size_bytes=total, address_hash=_address_hash(file), validator=validator)


def _continues(known: Provenance | None, file: RemoteFile) -> bool:
    """Whether bytes that are there are the beginning of this file."""
    if known is None:
        return False
    if file.sha256 is not None:
        return known.sha256 == file.sha256
    return known.address_hash == _address_hash(file) and known.validator is not None


def _is_same(file: RemoteFile, known: Provenance | None, total: int, validator: str | None) -> bool:
    """Whether a part of a file belongs to the part that came before; servers exist that don't look at If-Range."""
    if file.sha256 is not None:
        return True  # the sum tells in the end
    return known is not None and total == known.size_bytes and validator in (None, known.validator)


def _validator(headers: httpx2.Headers) -> str | None:
    """What If-Range may carry: a strong ETag or a date (RFC 9110, 13.1.5)."""
    tag: str | None = headers.get("ETag")
    date: str | None = headers.get("Last-Modified")
    return tag if tag and not tag.startswith("W/") else date
