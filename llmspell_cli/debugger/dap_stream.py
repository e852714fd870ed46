"""Messages of the Debug Adapter Protocol on a byte stream: a header with the length, then JSON. Knows no socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.errors import InvalidRequest

MAX_BYTES = 16 * 1024 * 1024
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class DapStream:
    """Bytes in, messages out; a partial one stays until the rest has come."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are whole now.

        Raises:
            InvalidRequest: it is not this protocol.
        """
        self._data += data
        while (end := self._data.find(_END)) >= 0:
            length = _length(bytes(self._data[:end]))
            start = end + len(_END)
            if len(self._data) < start + length:
                return
            body = bytes(self._data[start : start + length])
            del self._data[: start + length]
            try:
                message = json.loads(body)
            except ValueError:
                raise InvalidRequest("the debugger's client sent what is no JSON") from None
            if not isinstance(message, dict):
                raise InvalidRequest("the debugger's client sent what is no message")
            yield message
        if len(self._data) > MAX_BYTES:
            raise InvalidRequest("the debugger's client sent no header")


def packed(message: Mapping[str, Any]) -> bytes:
    """A message as it travels."""
    body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def _length(header: bytes) -> int:
    for line in header.split(b"\r\n"):
        if line.lower().startswith(_LENGTH) and line[len(_LENGTH) :].strip().isdigit():
            length = int(line[len(_LENGTH) :])
            if length <= MAX_BYTES:
                return length
    raise InvalidRequest(
        "the debugger's client speaks another protocol", hint="the port is for the Debug Adapter Protocol"
    )
