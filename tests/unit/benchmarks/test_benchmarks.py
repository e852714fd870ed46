"""The measuring core of the benchmarks: turns, noisy rounds, figures. What is measured is no test's business."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.machine import CpuUse
from benchmarks.result import Wanted, added, alone, compared, table, write
from benchmarks.rounds import Referee, percentile, spread
from benchmarks.talk import Talk, together_tokens_per_second


class Machine:
    """A machine on which others take these shares of each round's second."""

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = iter(shares)
        self._all = self._own = self._capacity = 0.0
        self._in_round = False

    def now(self) -> CpuUse:
        """Called before and after each round."""
        if self._in_round:
            self._own += 0.5
            self._all += 0.5 + next(self._shares)
            self._capacity += 1.0
        self._in_round = not self._in_round
        return CpuUse(self._all, self._own, self._capacity)


def test_two_sides_take_turns_after_one_warm_up_each() -> None:
    turns: list[str] = []

    def side(name: str, value: float) -> float:
        turns.append(name)
        return value

    rounds = Referee(3, cpu_now=Machine([0, 0, 0]).now).compare(lambda: side("a", 3.0), lambda: side("b", 2.0))
    assert "".join(turns) == "abababab"
    assert (rounds.a, rounds.b, rounds.ratios, rounds.differences) == (3.0, 2.0, [1.5] * 3, [1.0] * 3)


def test_rounds_that_others_disturbed_are_measured_again() -> None:
    values = iter(range(10))
    rounds = Referee(2, cpu_now=Machine([0.5, 0.05, 0.3, 0.0]).now).measure(lambda: float(next(values)))
    assert rounds.values == [1.0, 3.0]
    assert rounds.repeated == 2
    assert rounds.foreign == pytest.approx(0.05)


def test_a_machine_that_is_never_quiet_gives_its_quietest_rounds_and_says_so() -> None:
    values = iter(range(10))
    machine = Machine([0.9, 0.2, 0.8, 0.4])
    rounds = Referee(2, cpu_now=machine.now).measure(lambda: float(next(values)))
    assert rounds.values == [1.0, 3.0]
    assert rounds.foreign == pytest.approx(0.4)


def test_figures_of_a_reply_leave_out_what_is_not_decoding() -> None:
    talk = Talk(sent=1.0, pieces=[2.0, 2.1, 2.5], end=3.0, prompt_tokens=9, cached_tokens=0, completion_tokens=11)
    assert talk.first_token_s == 1.0
    assert talk.tokens_per_second == pytest.approx(10.0)
    assert talk.longest_gap_s == pytest.approx(0.5)
    assert together_tokens_per_second([talk, talk]) == pytest.approx(11.0)


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1.0)) == (50.0, 95.0, 100.0)
    assert percentile([7.0], 0.95) == 7.0
    assert spread([1.0, 2.0, 3.0]) == 1.0


def test_the_table_tells_good_from_bad_and_keeps_rows_of_earlier_runs(tmp_path: Path) -> None:
    rounds = Referee(1, cpu_now=Machine([0.0]).now).compare(lambda: 9.0, lambda: 10.0)
    good = compared("g", rounds, what="w", baseline_what="b", unit="s", wanted=Wanted(bound=0.9, at="least"))
    bad = added("b", rounds, what="w", baseline_what="b", unit="ms", wanted=Wanted(bound=-2, of="value"))
    plain = alone("p", rounds, what="w", unit="s", wanted=None)
    assert (good.good, bad.good, plain.good) == (True, False, None)
    assert "| g | 9 s | 10 s (b) | 0.900 | ≥ 0.9 × | ✓ |" in table([good])
    assert "≤ -2 ms | ✗ |" in table([bad])
    write([good, bad], {"cores": 2}, tmp_path)
    write([plain, good], {"cores": 2}, tmp_path)
    assert [line.split(" | ")[0] for line in (tmp_path / "latest.md").read_text().splitlines()[2:]] == [
        "| b",
        "| p",
        "| g",
    ]
    write([plain], {"cores": 4}, tmp_path)
    assert len((tmp_path / "latest.md").read_text().splitlines()) == 3
