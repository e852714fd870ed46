"""How many cores an engine gets."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmspell_providers.candle import cpu


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux ties a process to cores")
def test_a_process_that_is_tied_to_one_core_counts_one() -> None:
    def tied() -> tuple[int, int]:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # of this thread, which ends with the function
        return cpu.usable_cores(), cpu.physical_cores()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(tied).result() == (1, 1)


@pytest.mark.parametrize(("quota", "cores"), [("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1)])
def test_a_control_groups_quota_is_kept(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    monkeypatch.setattr(cpu, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)), raising=False)
    monkeypatch.setattr(cpu, "_TOPOLOGY", str(tmp_path / "none-{}"))
    assert cpu.usable_cores() == cores
    assert cpu.physical_cores() == cores


def test_two_threads_of_one_core_count_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for processor in range(4):
        (tmp_path / f"siblings-{processor}").write_text(f"{processor % 2},{processor % 2 + 2}\n")
    monkeypatch.setattr(cpu, "_TOPOLOGY", str(tmp_path / "siblings-{}"))
    monkeypatch.setattr(cpu, "_QUOTA", tmp_path / "none")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(4)), raising=False)
    assert cpu.physical_cores() == 2
    assert cpu.usable_cores() == 4


def test_others_use_is_counted_on_the_cores_that_this_process_may_use_and_without_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stat").write_text(
        "cpu  9 9 9 9 9 9 9 9 9 9\n"
        "cpu0 1000 200 300 7000 70 10 20 30 500 0\n"
        "cpu1 900 0 0 0 0 0 0 0 0 0\n"
        "cpu10 100 0 0 5 0 0 0 0\n"
        "intr 1\n"
    )
    monkeypatch.setattr(cpu, "_TIMES", tmp_path / "stat")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 10}, raising=False)
    monkeypatch.setattr(os, "sysconf", lambda _name: 100)
    monkeypatch.setattr("time.process_time", lambda: 2.5)
    # user nice system irq softirq steal: 1,560 hundredths on the first core, 100 on the other.
    assert cpu.foreign_use() == (pytest.approx(16.6 - 2.5), 2)


def test_a_system_without_those_figures_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_TIMES", tmp_path / "none")
    assert cpu.foreign_use() is None
