"""Lines and events out of the pieces that a body comes in. Knows bytes, no connection.

A line ends at \\n and nothing else: U+0085, U+2028 and U+2029 are characters like others, though Python splits at them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any

from llmspell_providers.http.bounded import TooLong

MAX_LINE_BYTES = 16 * 1024 * 1024
"""More than any line or event of a reply."""
_BOM = b"\xef\xbb\xbf"
_MAX_STRAY_BYTES = 64 * 1024


class NoJson(ValueError):
    """Text that should be JSON is none."""


def parse_json(data: bytes) -> Any:
    """The JSON in some bytes; bytes that are no UTF-8 become U+FFFD.

    Raises:
        NoJson: it is none, or is nested deeper than anything real.
    """
    try:
        return json.loads(data.removeprefix(_BOM).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise NoJson("something else than JSON") from None


class Lines:
    """Bytes split at \\n; a \\r before it goes too."""

    def __init__(self, *, also_cr: bool = False) -> None:
        self._pending = bytearray()
        self._began = False
        self._also_cr = also_cr
        self._after_cr = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The lines that are whole by now; raises `TooLong` for one without an end."""
        if self._also_cr and (b"\r" in piece or self._after_cr):
            # In event streams a lone \r ends a line as well; one at the end of a piece may be half of \r\n.
            if self._after_cr and piece.startswith(b"\n"):
                piece = piece[1:]
            self._after_cr = piece.endswith(b"\r")
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = piece.split(b"\n")
        for line in whole:
            self._pending += line
            yield self._taken()
        self._pending += rest
        if len(self._pending) > MAX_LINE_BYTES:
            raise TooLong(f"a line of its reply is longer than {MAX_LINE_BYTES >> 20} MiB")

    def rest(self) -> bytes:
        """What came after the last end of a line."""
        return self._taken()

    def _taken(self) -> bytes:
        line = bytes(self._pending)
        self._pending.clear()
        if not self._began:
            self._began = True
            line = line.removeprefix(_BOM)
        return line.removesuffix(b"\r")


async def json_lines(pieces: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    """The JSON of every line that has any; raises `NoJson` and `TooLong`."""
    lines = Lines()
    async for piece in pieces:
        for line in lines.feed(piece):
            if line.strip():
                yield parse_json(line)
    if (line := lines.rest()).strip():
        yield parse_json(line)


async def json_events(pieces: AsyncIterable[bytes]) -> AsyncIterator[Any]:
    """The JSON in the data of every server-sent event, up to `[DONE]`; raises `NoJson` and `TooLong`.

    Read with care for servers that leave out blank lines or the last one, or fail with an error that is no event.
    """
    lines, events = Lines(also_cr=True), _Events()
    async for piece in pieces:
        for line in lines.feed(piece):
            for content in events.take(line):
                yield content
        if events.done:
            return
    for line in (lines.rest(), b""):
        for content in events.take(line):
            yield content
    if (stray := events.stray()) is not None:
        yield stray


class _Events:
    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._size = 0
        self._stray = bytearray()
        self._any = False
        self.done = False

    def take(self, line: bytes) -> Iterator[Any]:
        if not line:
            yield from self._dispatched()
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._size += len(line)
            if self._size > MAX_LINE_BYTES:
                raise TooLong(f"an event of its reply is longer than {MAX_LINE_BYTES >> 20} MiB")
        elif not line.startswith((b":", b"event:", b"id:", b"retry:")):
            if len(self._stray) + len(line) <= _MAX_STRAY_BYTES:
                self._stray += line + b"\n"
            if b'"error"' in line and (content := _error(line)) is not None:
                yield from self._dispatched()
                self._stray.clear()
                yield content

    def stray(self) -> Any:
        """An error that is the whole body."""
        return None if self._any else _error(bytes(self._stray))

    def _dispatched(self) -> Iterator[Any]:
        data, self._data, self._size = self._data, [], 0
        if not data or self.done:
            return
        self._any = True
        for content in _contents(data):
            if isinstance(content, _Done):
                self.done = True
                return
            yield content


class _Done:
    """The end of an event stream of OpenAI's."""


def _contents(data: list[bytes]) -> Iterator[Any]:
    if len(data) > 1:
        try:
            yield _content(b"\n".join(data))
            return
        except NoJson:
            pass  # Events without a blank line between them.
    for line in data:
        if line.strip():
            yield _content(line)


def _content(data: bytes) -> Any:
    return _Done() if data.strip().startswith(b"[DONE]") else parse_json(data)


def _error(text: bytes) -> Any:
    try:
        content = parse_json(text)
    except NoJson:
        return None
    return content if isinstance(content, dict) and content.get("error") else None
