"""Questions that are given up after a moment where others need the processors: what a test asks them again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

TIMES = 20
T = TypeVar("T")


def asked_until(ask: Callable[[], T], fits: Callable[[T], bool]) -> T:
    """The first answer that fits, else the last; a machine that is busy may not give it within the time it has."""
    for _ in range(TIMES - 1):
        if fits(answer := ask()):
            return answer
    return ask()
