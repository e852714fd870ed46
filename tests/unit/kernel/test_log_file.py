"""The log file itself: private, rotated by size, packed, and never a reason to stop."""

from __future__ import annotations

import gzip
import logging
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_kernel.log_file import LogFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kernel.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogFile]:
    file = LogFile(path, lambda text: f"({text})")
    yield file
    file.close()


def say(log: LogFile, *texts: str) -> None:
    for text in texts:
        log.handle(logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None))


def packed(path: Path, number: int) -> str:
    return gzip.decompress(path.with_name(f"{path.name}.{number}.gz").read_bytes()).decode()


def names(path: Path) -> list[str]:
    return sorted(one.name for one in path.parent.iterdir())


def test_before_it_is_opened_or_written_there_is_no_file(log: LogFile, path: Path) -> None:
    assert not path.exists()
    log.open()
    assert path.read_text() == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_full_is_packed_and_the_oldest_goes(log: LogFile, path: Path) -> None:
    log.rotate_bytes, log.rotate_count = 8, 2
    say(log, *(f"line{number}" for number in range(5)))
    log.close()
    assert names(path) == ["kernel.log", "kernel.log.1.gz", "kernel.log.2.gz"]
    assert (path.read_text(), packed(path, 1), packed(path, 2)) == ("line4\n", "line3\n", "line2\n")
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600


def test_fewer_may_be_kept_from_some_time_on_or_none(log: LogFile, path: Path) -> None:
    log.rotate_bytes, log.rotate_count = 8, 3
    say(log, *(f"line{number}" for number in range(5)))
    log.rotate_count = 1
    say(log, "line5")
    log.rotate_count = 0
    say(log, "line6")
    log.close()
    assert names(path) == ["kernel.log", "kernel.log.1.gz"]
    assert (path.read_text(), packed(path, 1)) == ("line6\n", "line4\n")


def test_a_line_longer_than_the_limit_stands_alone(log: LogFile, path: Path) -> None:
    log.rotate_bytes, log.rotate_count = 8, 1
    say(log, "x" * 100, "y")
    log.close()
    assert (path.read_text(), packed(path, 1)) == ("y\n", "x" * 100 + "\n")


def test_what_a_killed_kernel_left_unpacked_is_packed(log: LogFile, path: Path) -> None:
    path.with_name("kernel.log.1").write_text("left\n")
    log.rotate_bytes, log.rotate_count = 8, 2
    say(log, "line0", "line1")
    log.close()
    assert (path.read_text(), packed(path, 1), packed(path, 2)) == ("line1\n", "line0\n", "left\n")


def test_a_log_file_that_another_program_moved_or_removed_is_made_again(log: LogFile, path: Path) -> None:
    say(log, "one")
    path.rename(path.with_name("moved"))
    say(log, "two")
    path.unlink()
    say(log, "three")
    assert (path.with_name("moved").read_text(), path.read_text()) == ("one\n", "three\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_on_a_full_disk_lines_are_counted_and_the_next_one_says_how_many(log: LogFile, path: Path) -> None:
    path.symlink_to("/dev/full")
    say(log, "lost", "lost too")
    path.unlink()
    say(log, "here", "and here")
    assert path.read_text() == "(2 lines are missing here: No space left on device)\nhere\nand here\n"


def test_half_a_line_does_not_stay(log: LogFile, path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    say(log, "one")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, hard))
        say(log, "does not fit")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    say(log, "two")
    assert path.read_text() == "one\n(1 line is missing here: File too large)\ntwo\n"


def test_a_directory_that_went_is_no_reason_to_stop(log: LogFile, path: Path) -> None:
    say(log, "one")
    away = path.parent.rename(path.parent.with_name("away"))
    say(log, "lost")
    away.rename(path.parent)
    say(log, "two")
    assert path.read_text() == "one\n(1 line is missing here: No such file or directory)\ntwo\n"


def test_where_packing_fails_the_old_lines_stay_as_they_are(log: LogFile, path: Path) -> None:
    path.with_name("kernel.log.1.gz.part").mkdir()
    log.rotate_bytes, log.rotate_count = 8, 2
    say(log, "line0", "line1")
    log.close()
    assert path.read_text() == "line1\n"
    assert path.with_name("kernel.log.1").read_text() == "line0\n"


def test_where_the_file_can_not_be_moved_it_grows(log: LogFile, path: Path) -> None:
    path.with_name("kernel.log.1").mkdir()
    log.rotate_bytes, log.rotate_count = 8, 2
    say(log, "line0", "line1")
    log.close()
    assert path.read_text() == "line0\nline1\n"
