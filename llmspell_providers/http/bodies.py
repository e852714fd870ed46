"""The bodies of whole answers of servers that may lie: JSON never longer than a limit, and none where none is wanted.

For clients of httpx2 in a process that may block; `bounded` does the counting.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from llmspell_providers.http.bounded import Decoding

if TYPE_CHECKING:
    import httpx2

MOST_JSON_BYTES = 16 * 1024 * 1024
"""Decoded. The listing of a repository with a thousand files has 400 KB."""
_SHORT_BODY_BYTES = 1 << 16
ACCEPTED_ENCODINGS = "gzip, deflate"


class NotJson(ValueError):
    """The body is no JSON, or nested deeper than can be read."""


class TooSlow(ValueError):
    """The body did not end in time."""


def read_json(response: httpx2.Response, *, deadline_s: float, most_bytes: int = MOST_JSON_BYTES) -> Any:
    """The JSON of an answer that was asked for as a stream, with `ACCEPTED_ENCODINGS`.

    Raises:
        TooLong, Undecodable: as `Decoding.feed`.
        TooSlow: after `deadline_s` it still comes.
        NotJson: it is something else.
    """
    decoding = Decoding(response.headers.get("Content-Encoding", ""), most_bytes)
    ends_at = time.monotonic() + deadline_s
    body = bytearray()
    for data in response.iter_raw():
        for piece in decoding.feed(data):
            body += piece
        if time.monotonic() > ends_at:
            raise TooSlow(f"its reply was not there after {deadline_s:g} s")
    try:
        return json.loads(body)
    except RecursionError:
        raise NotJson("its reply is nested too deep") from None
    except ValueError:
        raise NotJson("its reply is not JSON") from None


def without_body(response: httpx2.Response) -> None:
    """Takes an answer's body away; for a hook, before a client reads all that comes.

    The connection can be used again where the body is short, and ends where it is not.
    """
    import httpx2

    stream = response.stream
    assert isinstance(stream, httpx2.SyncByteStream)
    length = response.headers.get("Content-Length", "")
    if length.isascii() and length.isdecimal() and len(length) < 10 and int(length) <= _SHORT_BODY_BYTES:
        for _ in stream:
            pass
    stream.close()
    response.stream = httpx2.ByteStream(b"")
    for name in ("Content-Encoding", "Content-Length", "Transfer-Encoding"):
        response.headers.pop(name, None)
