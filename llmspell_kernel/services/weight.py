"""How much memory values take, roughly, and a budget of it. Looks no further than the budget goes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def weight(value: Any, most: int) -> int:
    """About how many bytes a value of JSON's takes; more than `most` is told as soon as it is known.

    What stands in it several times counts each time.
    """
    total, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        total += sys.getsizeof(one)
        if total > most:
            break
        if isinstance(one, Mapping):
            waiting.extend(one)
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            waiting.extend(one)
    return total


class Budget:
    """So many bytes, spent value by value."""

    def __init__(self, bytes: int) -> None:
        self._left = bytes

    def admits(self, value: Any) -> bool:
        """Takes the value's weight off; False where there was not enough left, and from then on."""
        taken = weight(value, self._left)
        is_enough = taken <= self._left
        self._left = self._left - taken if is_enough else 0
        return is_enough
