"""Measuring two things by turns: A B A B …, medians, spread, and rounds repeated while others used the machine."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.machine import CpuUse

FOREIGN_LIMIT = 0.10
"""A round in which others had more than this share of the machine is measured again."""

Measure = Callable[[], float]


@dataclass(frozen=True)
class Round:
    """One turn of each side; `b` is None where there is nothing to compare with."""

    a: float
    b: float | None
    foreign: float

    @property
    def ratio(self) -> float:
        """A ÷ B."""
        assert self.b is not None
        return self.a / self.b

    @property
    def difference(self) -> float:
        """A − B."""
        assert self.b is not None
        return self.a - self.b


@dataclass(frozen=True)
class Rounds:
    """All rounds that count, and how many were thrown away because of others' use of the machine."""

    rounds: Sequence[Round]
    repeated: int

    @property
    def a(self) -> float:
        """The median of A."""
        return statistics.median(one.a for one in self.rounds)

    @property
    def b(self) -> float:
        """The median of B."""
        return statistics.median(one.b for one in self.rounds if one.b is not None)

    @property
    def ratios(self) -> list[float]:
        """A ÷ B of each round."""
        return [one.ratio for one in self.rounds]

    @property
    def differences(self) -> list[float]:
        """A − B of each round."""
        return [one.difference for one in self.rounds]

    @property
    def values(self) -> list[float]:
        """A of each round."""
        return [one.a for one in self.rounds]

    @property
    def foreign(self) -> float:
        """The largest share that others had in a round that counts."""
        return max(one.foreign for one in self.rounds)


class Referee:
    """Runs rounds: at least `count` of them quiet, at most twice as many again thrown away."""

    def __init__(self, count: int, *, cpu_now: Callable[[], CpuUse] = CpuUse.now) -> None:
        self.count = count
        self._cpu_now = cpu_now

    def compare(self, a: Measure, b: Measure) -> Rounds:
        """A B A B …; one turn of each before the first round warms caches and is not counted."""
        a()
        b()
        return self.compare_cold(a, b)

    def compare_cold(self, a: Measure, b: Measure) -> Rounds:
        """A B A B … from the start."""
        return self._rounds(lambda: (a(), b()))

    def measure(self, a: Measure) -> Rounds:
        """A A A …, with no baseline and no turn before the first."""
        return self._rounds(lambda: (a(), None))

    def _rounds(self, turn: Callable[[], tuple[float, float | None]]) -> Rounds:
        quiet: list[Round] = []
        noisy: list[Round] = []
        while len(quiet) < self.count and len(noisy) < 2 * self.count:
            before = self._cpu_now()
            a, b = turn()
            foreign = self._cpu_now().foreign_share_since(before)
            (quiet if foreign <= FOREIGN_LIMIT else noisy).append(Round(a, b, foreign))
        # A machine that never got quiet still gives figures, of its quietest rounds; the foreign share tells.
        noisy.sort(key=lambda one: one.foreign)
        missing = noisy[: self.count - len(quiet)]
        return Rounds([*quiet, *missing], repeated=len(noisy) - len(missing))


def spread(values: Sequence[float]) -> float:
    """(largest − smallest) ÷ median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / abs(middle) if middle else 0.0


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]
