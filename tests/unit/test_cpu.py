"""How many cores an engine gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmspell_providers.candle import cpu


def test_there_is_at_least_one_core_and_never_more_than_the_machine_has() -> None:
    assert 1 <= cpu.physical_cores() <= cpu.usable_cores() <= (os.cpu_count() or 1)


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
