"""How large an event may be, what it takes in memory, and how too large ones of the kernel's own are shortened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.services.weight import Budget, weight
from llmspell_protocol.errors import InvalidRequest

LONGEST_TYPE = 200
LARGEST = 1024 * 1024
"""Bytes of an event's data as it is sent."""
HEAVIEST = 4 * 1024 * 1024
"""Bytes of an event's data in memory, where many small values take more than as they are sent."""
_ENVELOPE = 1024
"""What an event takes beside its data: ids, times, names."""


def demand_type(event_type: str) -> None:
    """Raises `InvalidRequest` where this can't be an event's type."""
    if not event_type or len(event_type) > LONGEST_TYPE:
        raise InvalidRequest(f"an event's type has 1 to {LONGEST_TYPE} characters")


def demand_size(data: Any) -> int:
    """The bytes that an event with this data takes in memory.

    Raises:
        InvalidRequest: it is too large, or can't be sent.
    """
    import msgpack

    heavy = weight(data, HEAVIEST)
    if heavy > HEAVIEST:
        raise InvalidRequest(f"an event's data takes more than {HEAVIEST} bytes of memory")
    try:
        size = len(msgpack.packb(data, unicode_errors="surrogatepass"))
    except (TypeError, ValueError, OverflowError) as problem:
        raise InvalidRequest(f"an event's data can't be sent: {problem}") from None
    if size > LARGEST:
        raise InvalidRequest(f"an event's data is {size} bytes long, more than {LARGEST}")
    return _ENVELOPE + heavy


def fitting(data: Any) -> tuple[Any, int]:
    """The kernel's own data and the bytes that an event with it takes in memory.

    Of data that is too large the heaviest values are left out: a text stands in their place, and `shortened` has their
    names.
    """
    heavy = weight(data, HEAVIEST)
    if heavy > HEAVIEST:
        data = _shortened(data) if isinstance(data, Mapping) else {"shortened": True}
        heavy = weight(data, HEAVIEST)
    return data, _ENVELOPE + heavy


def _shortened(data: Mapping[str, Any]) -> Mapping[str, Any]:
    budget = Budget(HEAVIEST // 2)
    weights = {name: weight(value, HEAVIEST) for name, value in data.items()}
    left_out = [name for name in sorted(data, key=weights.__getitem__) if not budget.admits(data[name])]
    return {
        **data,
        **{name: f"left out: it takes {_shown(weights[name])} bytes of memory" for name in left_out},
        "shortened": left_out,
    }


def _shown(bytes: int) -> str:
    return f"more than {HEAVIEST}" if bytes > HEAVIEST else str(bytes)
