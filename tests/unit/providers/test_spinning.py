"""When an engine's threads spin for a short time, and the sleeping threads that make them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Callable

import pytest

from llmspell_providers.candle.cpu import Foreign, FreeCores
from llmspell_providers.candle.spinning import Spinning, sleeping_team
from tests.support.turns import until


class Machine:
    """Two cores on which others take `load` of them; time goes on when it is told to."""

    def __init__(self) -> None:
        self.load = 0.0
        self.teams: list[int] = []
        self._now = self._used = 100.0

    def clock(self) -> float:
        return self._now

    def look(self) -> Foreign:
        return Foreign(self._used, cores=2)

    def go_on(self, seconds: float) -> None:
        self._now += seconds
        self._used += seconds * self.load

    def start_team(self, count: int) -> Callable[[], None]:
        self.teams.append(count)
        return self.teams.clear

    def spinning(self, threads: int = 2) -> Spinning:
        cores = FreeCores(threads, look=self.look, clock=self.clock)
        return Spinning(threads, cores=cores, start_team=self.start_team)


def _reply(machine: Machine, spinning: Spinning, *, load: float) -> bool:
    """Whether threads spin shortly after a second of a reply beside others."""
    machine.load = load
    spinning.begin()
    for _ in range(10):
        machine.go_on(0.1)
        spinning.fit()
    return spinning.short


def test_threads_spin_shortly_beside_a_busy_process_and_for_long_when_it_is_gone() -> None:
    machine = Machine()
    spinning = machine.spinning()
    assert not _reply(machine, spinning, load=0.1)
    assert _reply(machine, spinning, load=1.0)
    assert len(machine.teams) == 1
    assert not _reply(machine, spinning, load=0.0)
    assert machine.teams == []


def test_one_thread_has_nobody_to_wait_for() -> None:
    machine = Machine()
    assert not _reply(machine, machine.spinning(threads=1), load=2.0)


def test_what_others_did_during_a_rest_does_not_count() -> None:
    machine = Machine()
    spinning = machine.spinning()
    assert not _reply(machine, spinning, load=0.0)
    machine.load = 2.0
    machine.go_on(60.0)
    machine.load = 0.0
    assert not _reply(machine, spinning, load=0.0)


@pytest.mark.skipif(sys.platform != "linux", reason="libgomp is Linux's")
def test_a_team_sleeps_until_it_is_ended() -> None:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        pytest.skip("this system has no libgomp")

    def threads() -> int:
        return len(os.listdir("/proc/self/task"))

    before = threads()
    end = sleeping_team()(3)
    assert threads() == before + 3, "the thread that called for the team, and two more"
    end()
    asyncio.run(until(lambda: threads() == before))
