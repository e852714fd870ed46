"""JSON and msgpack to values, with an end to how many: a byte of input can become 64 bytes of an empty map.

Small inputs are read as they are. Of larger ones lists and maps are counted, and what they hold, before memory is spent
on more than is allowed. Knows neither messages nor frames.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgpack

MAX_VALUES = 1 << 20
"""Entries of lists and maps, all together."""
MAX_CONTAINERS = 1 << 18
"""Lists and maps, however deep."""
UNCOUNTED_BYTES = 1 << 16
"""Inputs up to this size can't become much."""
_MANY_DIGITS = 1000

# Every text is skipped in one go, an unfinished one too: nothing is ever read twice.
_TEXTS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)


class TooManyValues(ValueError):
    """The input holds more lists, maps or entries than are allowed."""


def unpack(
    data: bytes,
    *,
    max_values: int = MAX_VALUES,
    max_containers: int = MAX_CONTAINERS,
    ext_hook: Callable[[int, bytes], Any] = msgpack.ExtType,
) -> Any:
    """The value of a msgpack input; `ext_hook` makes one of an extension's code and bytes.

    Raises:
        TooManyValues: see there.
        ValueError, TypeError, msgpack.UnpackException: it is not msgpack, or a map's key can't be one.
    """
    if len(data) <= UNCOUNTED_BYTES:
        return msgpack.unpackb(data, raw=False, strict_map_key=False, ext_hook=ext_hook)
    counted = _Counted(max_values, max_containers)
    try:
        return msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=False,
            max_array_len=min(max_values, len(data)),
            max_map_len=min(max_values, len(data)),
            object_hook=counted.add,
            list_hook=counted.add,
            ext_hook=ext_hook,
        )
    except ValueError as error:
        if "exceeds max_array_len" in str(error) or "exceeds max_map_len" in str(error):
            raise counted.too_many() from None
        raise


def load_json(data: bytes) -> Any:
    """The value of a JSON input.

    Raises:
        TooManyValues: see there.
        ValueError, RecursionError: it is not JSON, or too deep.
    """
    if len(data) > UNCOUNTED_BYTES and not _is_bounded(data) and not _is_bounded_without_texts(data):
        raise _Counted(MAX_VALUES, MAX_CONTAINERS).too_many()
    return read_json(data)


def read_json(data: bytes) -> Any:
    """The same without a bound."""
    # From bytes, json would let surrogates through.
    text = data.decode()
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        # Python reads no integer of thousands of digits; whoever looks at the field refuses it by its name.
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < _MANY_DIGITS else float(digits)


class _Counted:
    def __init__(self, max_values: int, max_containers: int) -> None:
        self._most = f"at most {max_containers} lists and maps, with {max_values} entries, are allowed"
        self._values = max_values
        self._containers = max_containers

    def add(self, container: Any) -> Any:
        self._values -= len(container)
        self._containers -= 1
        if self._values < 0 or self._containers < 0:
            raise self.too_many()
        return container

    def too_many(self) -> TooManyValues:
        return TooManyValues(self._most)


def _is_bounded(data: bytes) -> bool:
    containers = data.count(b"[") + data.count(b"{")
    return containers <= MAX_CONTAINERS and containers + data.count(b",") <= MAX_VALUES


def _is_bounded_without_texts(data: bytes) -> bool:
    # An entry has two texts at most, its key and itself. Counted first, since it takes no time.
    quotes = data.replace(b"\\\\", b"").replace(b'\\"', b"").count(b'"') if b"\\" in data else data.count(b'"')
    return quotes <= 4 * MAX_VALUES and _is_bounded(_TEXTS.sub(b"", data))
