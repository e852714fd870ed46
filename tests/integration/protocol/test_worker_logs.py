"""The logs of workers: what they write is added, and a long log is put aside."""

from __future__ import annotations

import os
from pathlib import Path

from llmspell_protocol.child import LONGEST_LOG_BYTES, spawn


def print_the_zen(log: Path) -> None:
    spawned = spawn("this", environment={}, log_path=log)
    assert spawned.process.wait(30) == 0
    os.close(spawned.read_fd)
    os.close(spawned.write_fd)


def test_what_workers_write_is_added(tmp_path: Path) -> None:
    log = tmp_path / "scripts.log"
    for _ in range(2):
        print_the_zen(log)
    assert log.read_text().count("The Zen of Python") == 2
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_long_log_is_put_aside_when_the_next_worker_starts(tmp_path: Path) -> None:
    log, before = tmp_path / "scripts.log", tmp_path / "scripts.log.1"
    before.write_text("older")
    log.write_text("old")
    os.truncate(log, LONGEST_LOG_BYTES + 1)
    print_the_zen(log)
    assert log.read_text().startswith("The Zen of Python")
    assert before.stat().st_size == LONGEST_LOG_BYTES + 1
