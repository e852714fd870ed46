"""Results of searches that were asked before, as long as nothing of their place has changed. Knows no worker."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    generation: Hashable
    until: float
    value: T


class SearchCache(Generic[T]):
    """The last results by what was asked; `generation` of a place changes with all that is in it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()

    def get(self, key: Hashable, generation: Hashable) -> T | None:
        """What was found then; None: it was not asked, or the place has changed."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.generation != generation or kept.until <= self._clock():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return kept.value

    def put(self, key: Hashable, generation: Hashable, value: T, *, size: int, ttl_s: float) -> None:
        """Keeps a result for this long; of more than `size` those that were asked for longest ago go."""
        self._kept[key] = _Kept(generation, self._clock() + ttl_s, value)
        self._kept.move_to_end(key)
        while len(self._kept) > size:
            self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()
