"""Messages to frames and back: encoding, signature, checks. Bytes in, messages out; knows no sockets.

Layout (Jupyter's): `[identities…] <IDS|MSG> hmac header parent_header metadata content buffers…`. Each of the four
parts is JSON or msgpack, recognised by its first byte; HMAC-SHA256 over the four, hex, compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgpack

from llmspell_protocol.bounded import TooManyValues, unpack
from llmspell_protocol.bounded_json import load_json, read_json
from llmspell_protocol.messages import Message
from llmspell_protocol.numbers import FINITE_NUMBER, INT64_LOW, WHOLE_NUMBER, WrongNumber
from llmspell_protocol.plain_text import whole_text
from llmspell_protocol.plain_values import with_whole_texts

DELIMITER = b"<IDS|MSG>"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_PARTS_BYTES = 32 * 1024 * 1024
"""Of the four parts of a request, together: what is larger travels in buffers."""
MAX_HEADER_BYTES = 64 * 1024
"""Of a request: every answer to it repeats its header."""
_REMEMBERED_SIGNATURES = 1 << 16
_UINT64_HIGH = (1 << 64) - 1
_HEADER_FIELDS = ("msg_id", "msg_type", "session")


class WireError(Exception):
    """A message that must be dropped; `reason` is the counter it goes under and never holds content."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    if isinstance(value, int):
        raise OverflowError(f"{WHOLE_NUMBER} is all that msgpack carries")
    raise TypeError(f"{type(value).__name__} can't be sent")


_to_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode


def encode_part(part: object, encoding: str, *, exact: bool = False) -> bytes:
    """One of the four parts as bytes.

    What an encoding lacks is replaced, so that no text from a model or script can keep a reply from being sent: NaN and
    infinities by null (JSON), lone surrogates by U+FFFD, integers beyond 64 bits by null (msgpack). `exact` parts keep
    their numbers or are not sent: a request must not become another one on its way.

    Raises:
        TypeError: a value of a type that messages don't have.
        ValueError, RecursionError: maps or lists in each other some hundred levels deep.
        WrongNumber: a number that the encoding of an `exact` part lacks; its text names the place.
    """
    try:
        return _encode(part, encoding)
    except (ValueError, OverflowError):
        if exact:
            _demand_numbers(part, encoding)
        return _encode(_sendable(part, encoding), encoding)


def _encode(part: object, encoding: str) -> bytes:
    if encoding == "msgpack":
        packed: bytes = msgpack.packb(part, use_bin_type=True, default=_plain)
        return packed
    return _to_json(part).encode()


def _is_carried(value: float, encoding: str) -> bool:
    if isinstance(value, float):
        return encoding == "msgpack" or math.isfinite(value)
    return encoding == "json" or INT64_LOW <= value <= _UINT64_HIGH


def _sendable(value: Any, encoding: str) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, (float, int)):
        return value if _is_carried(value, encoding) else None
    if isinstance(value, dict):
        return {_sendable(key, encoding): _sendable(item, encoding) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_sendable(item, encoding) for item in value]
    return value


def _demand_numbers(value: Any, encoding: str, place: str = "") -> None:
    if isinstance(value, (float, int)) and not _is_carried(value, encoding):
        raise WrongNumber(f"{place}: must be {FINITE_NUMBER if isinstance(value, float) else WHOLE_NUMBER}")
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for name, item in inner:
        _demand_numbers(item, encoding, f"{place}.{name}" if place else str(name))


def decode_part(data: bytes, *, bounded: bool = True) -> dict[str, Any]:
    """A part that must be a map.

    Raises:
        WireError: it is neither JSON nor msgpack, or not a map.
        TooManyValues: `bounded`, and it holds more than a request may, or too many levels of it.
    """
    try:
        if data[:1] == b"{":
            value = _from_json(data, bounded)
        else:
            value = unpack(data) if bounded else msgpack.unpackb(data, raw=False, strict_map_key=False)
    except TooManyValues:
        raise
    except (RecursionError, msgpack.StackError):
        if bounded:
            raise TooManyValues("lists and maps are nested too deep in each other") from None
        raise WireError("encoding") from None
    except (ValueError, TypeError, MemoryError, msgpack.UnpackException):
        raise WireError("encoding") from None
    if not isinstance(value, dict):
        raise WireError("encoding")
    return value


def _from_json(data: bytes, bounded: bool) -> Any:
    # From bytes, json would let surrogates through; those written as escapes it lets through in any case.
    value = load_json(data) if bounded else read_json(data)
    return with_whole_texts(value) if b"\\ud" in data or b"\\uD" in data else value


def _is_header(header: dict[str, Any]) -> bool:
    """Whether it names its message and can be echoed in either encoding."""
    return all(isinstance(header.get(field), str) for field in _HEADER_FIELDS) and _is_json(header, depth=8)


def _is_json(value: object, depth: int) -> bool:
    if value is None or isinstance(value, (str, bool, float)):
        return True
    if isinstance(value, int):
        return INT64_LOW <= value <= _UINT64_HIGH
    if depth == 0:
        return False
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item, depth - 1) for key, item in value.items())
    return isinstance(value, list) and all(_is_json(item, depth - 1) for item in value)


class Wire:
    """One side of a signed connection: `pack` what goes out, `unpack` and check what comes in.

    The kernel's side takes `requests`: it bounds what the four parts may hold, which a client doesn't for answers.
    """

    def __init__(
        self,
        key: bytes,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        refuse_replays: bool = True,
        requests: bool = False,
    ) -> None:
        self._mac = hmac.new(key, digestmod=hashlib.sha256) if key else None
        self._max_message_bytes = max_message_bytes
        self._requests = requests
        self._refuse_replays = refuse_replays and bool(key)
        self._seen: set[bytes] = set()
        self._seen_order: deque[bytes] = deque()
        self._last_parent: tuple[Mapping[str, Any], str, bytes] = ({}, "", b"")

    def sign(self, parts: Sequence[bytes]) -> bytes:
        """The hex signature over the parts; empty when the key is."""
        if self._mac is None:
            return b""
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()

    def pack(self, message: Message, encoding: str | None = None, *, exact: bool = False) -> list[bytes]:
        """All frames of a message, identities first; `exact` and what is raised as of `encode_part`."""
        encoding = encoding or message.encoding
        parts = [
            encode_part(message.header, encoding),
            self._parent_part(message.parent_header, encoding),
            encode_part(message.metadata, encoding, exact=exact),
            encode_part(message.content, encoding, exact=exact),
        ]
        return [*message.identities, DELIMITER, self.sign(parts), *parts, *message.buffers]

    def _parent_part(self, parent: Mapping[str, Any], encoding: str) -> bytes:
        """A request's header is the parent of all that answers it, and nothing changes it: mostly it's the last one."""
        last, its_encoding, part = self._last_parent
        if parent is not last or encoding != its_encoding:
            part = encode_part(parent, encoding)
            self._last_parent = (parent, encoding, part)
        return part

    def unpack(self, frames: Sequence[bytes]) -> Message:
        """The message in the frames; one that holds more values than a request may is without them: see `problem`.

        Raises:
            WireError: it must be dropped; `reason` is one of frames, size, signature, replay, encoding, header.
        """
        if sum(map(len, frames)) > self._max_message_bytes:
            raise WireError("size")
        try:
            at = frames.index(DELIMITER)
        except ValueError:
            raise WireError("frames") from None
        if len(frames) < at + 6:
            raise WireError("frames")
        signature = bytes(frames[at + 1])
        parts = [bytes(part) for part in frames[at + 2 : at + 6]]
        if self._requests and (len(parts[0]) > MAX_HEADER_BYTES or sum(map(len, parts)) > MAX_PARTS_BYTES):
            raise WireError("size")
        if self._mac is not None and not hmac.compare_digest(signature, self.sign(parts)):
            raise WireError("signature")
        if self._refuse_replays:
            self._remember(signature)
        try:
            header = decode_part(parts[0], bounded=self._requests)
        except TooManyValues:
            raise WireError("header") from None
        if not _is_header(header):
            raise WireError("header")
        problem = ""
        try:
            parent_header, metadata, content = (decode_part(part, bounded=self._requests) for part in parts[1:])
        except TooManyValues as error:
            parent_header, metadata, content = {}, {}, {}
            problem = str(error)
        return Message(
            header,
            content,
            parent_header=parent_header,
            metadata=metadata,
            problem=problem,
            buffers=[bytes(buffer) for buffer in frames[at + 6 :]],
            identities=[bytes(identity) for identity in frames[:at]],
            encoding="json" if parts[0][:1] == b"{" else "msgpack",
        )

    def _remember(self, signature: bytes) -> None:
        if signature in self._seen:
            raise WireError("replay")
        self._seen.add(signature)
        self._seen_order.append(signature)
        if len(self._seen_order) > _REMEMBERED_SIGNATURES:
            self._seen.discard(self._seen_order.popleft())
