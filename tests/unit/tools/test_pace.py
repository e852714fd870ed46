"""Pauses between two requests to one host."""

from __future__ import annotations

from llmspell_tools.limits.pace import Pace


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_a_host_is_asked_again_after_the_pause_and_others_at_once() -> None:
    time = Time()
    pace = Pace(lambda: time.now, time.sleep)
    pace.wait("a.example", 2, 30)
    pace.wait("b.example", 2, 30)
    assert time.slept == []
    time.now += 0.5
    pace.wait("a.example", 2, 30)
    assert time.slept == [1.5]
    pace.wait("a.example", 2, 30)
    assert time.slept == [1.5, 2]


def test_a_pause_is_no_longer_than_the_time_that_is_left() -> None:
    time = Time()
    pace = Pace(lambda: time.now, time.sleep)
    pace.wait("a.example", 60, 30)
    pace.wait("a.example", 60, 30)
    assert time.slept == [30]
    pace.wait("a.example", 0, 30)
    assert time.slept == [30]
