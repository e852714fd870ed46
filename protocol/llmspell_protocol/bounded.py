"""Msgpack to values, with an end to how many: a byte of input can become 64 bytes of an empty map.

Small inputs are read as they are. Of larger ones lists and maps are counted, and what they hold, before memory is spent
on more than is allowed. Knows neither messages nor frames; `bounded_json` does the same for JSON, and every worker
starts without it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

MAX_VALUES = 1 << 20
"""Entries of lists and maps, all together."""
MAX_CONTAINERS = 1 << 18
"""Lists and maps, however deep."""
UNCOUNTED_BYTES = 1 << 16
"""Inputs up to this size can't become much."""


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
    counted = Counted(max_values, max_containers)
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


class Counted:
    """How many lists, maps and entries there were so far."""

    def __init__(self, max_values: int, max_containers: int) -> None:
        self._most = f"at most {max_containers} lists and maps, with {max_values} entries, are allowed"
        self._values = max_values
        self._containers = max_containers

    def add(self, container: Any) -> Any:
        """Counts a list or map, and gives it back; raises `TooManyValues`."""
        self._values -= len(container)
        self._containers -= 1
        if self._values < 0 or self._containers < 0:
            raise self.too_many()
        return container

    def too_many(self) -> TooManyValues:
        """The error that says how many are allowed."""
        return TooManyValues(self._most)
