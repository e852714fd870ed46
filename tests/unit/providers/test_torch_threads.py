"""How many threads compute with PyTorch while other processes come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from llmspell_providers.candle.cpu import Foreign

if TYPE_CHECKING:
    from llmspell_providers.candle.transformer.threads import Threads

pytestmark = pytest.mark.engines


class Machine:
    """Four cores on which others take `load` of them; time goes on when it is told to."""

    def __init__(self, *, tells: bool = True) -> None:
        self.load = 0.0
        self._tells = tells
        self._now = self._used = 100.0

    def clock(self) -> float:
        return self._now

    def look(self) -> Foreign | None:
        return Foreign(self._used, cores=4) if self._tells else None

    def go_on(self, seconds: float) -> None:
        self._now += seconds
        self._used += seconds * self.load


def _threads(machine: Machine, most: int = 4) -> Threads:
    from llmspell_providers.candle.transformer.threads import Threads

    return Threads(most, look=machine.look, clock=machine.clock)


def _steps(machine: Machine, threads: Threads, *, load: float, seconds: float = 1.0) -> int:
    """How many threads compute after some steps beside others."""
    import torch

    machine.load = load
    for _ in range(10):
        machine.go_on(seconds / 10)
        threads.fit()
    assert torch.get_num_threads() == threads.count
    return threads.count


@pytest.mark.parametrize(("load", "count"), [(0.0, 4), (0.3, 4), (1.0, 3), (2.0, 2), (3.9, 1), (9.0, 1)])
def test_threads_are_as_many_as_others_leave_cores_for(load: float, count: int) -> None:
    machine = Machine()
    assert _steps(machine, _threads(machine), load=load) == count


def test_they_are_all_back_when_the_others_have_gone() -> None:
    machine = Machine()
    threads = _threads(machine)
    assert _steps(machine, threads, load=2.0) == 2
    assert _steps(machine, threads, load=0.0) == 4


def test_they_are_never_more_than_wanted() -> None:
    machine = Machine()
    threads = _threads(machine, most=2)
    assert _steps(machine, threads, load=1.0) == 2, "four cores less one are enough for two threads"
    assert _steps(machine, threads, load=3.0) == 1


def test_what_others_did_during_a_rest_does_not_count() -> None:
    machine = Machine()
    threads = _threads(machine)
    assert _steps(machine, threads, load=0.0) == 4
    machine.load = 4.0
    machine.go_on(60.0)
    threads.begin()
    assert _steps(machine, threads, load=0.0) == 4


def test_a_rest_too_short_to_be_one_ends_no_look() -> None:
    machine = Machine()
    threads = _threads(machine)
    machine.load = 4.0
    for _ in range(20):  # short requests, one after the other
        threads.begin()
        machine.go_on(0.05)
        threads.fit()
    assert threads.count == 1


def test_where_the_system_does_not_tell_there_are_as_many_as_wanted() -> None:
    machine = Machine(tells=False)
    assert _steps(machine, _threads(machine), load=4.0) == 4
