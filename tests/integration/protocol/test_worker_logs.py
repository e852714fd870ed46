"""The logs of workers: what they write is added, and a long log is put aside."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from llmspell_protocol.child import spawn
from llmspell_protocol.worker_logs import LONGEST_LOG_BYTES
from tests.support.bad_files import IN_PLACE_OF_A_FILE, everybodys_directory, read_only


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


@pytest.mark.parametrize("kind", sorted(IN_PLACE_OF_A_FILE))
def test_a_worker_goes_on_where_its_log_can_t_be_written_and_that_is_told_once(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = tmp_path / "scripts.log"
    IN_PLACE_OF_A_FILE[kind](log)
    before = len(os.listdir("/proc/self/fd"))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            print_the_zen(log)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [str(log) in record.getMessage() for record in caplog.records] == [True]


def test_a_worker_goes_on_without_its_directory_of_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        print_the_zen(tmp_path / "gone" / "scripts.log")
    assert "go on without their log" in caplog.text


def test_a_long_log_that_can_t_be_put_aside_gets_no_longer(caplog: pytest.LogCaptureFixture) -> None:
    from llmspell_protocol.worker_logs import open_log

    with everybodys_directory() as directory:
        log = directory / "scripts.log"
        log.touch(mode=0o666)
        log.chmod(0o666)
        os.truncate(log, LONGEST_LOG_BYTES + 1)
        with read_only(directory), caplog.at_level(logging.WARNING):
            os.close(open_log(log))
        assert log.stat().st_size == LONGEST_LOG_BYTES + 1
    assert "permission denied" in caplog.text
