"""A kernel's files: one kernel an id, stale files cleared, private modes, the parent's end noticed."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import stat
from pathlib import Path

import pytest

from llmspell_kernel.lifecycle import RunFiles, remove_stale_files, run_directory
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import is_running
from llmspell_protocol.errors import Busy, ConfigError


def info(kernel_id: str) -> ConnectionInfo:
    connection = ConnectionInfo.consecutive("127.0.0.1", 40_000, "secret")
    return connection._replace(id=kernel_id, pid=os.getpid(), started_at="2026-01-01T00:00:00Z", version="0")


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return run_directory(tmp_path / "home")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_files_of_a_kernel_are_private_and_go_with_it(run_dir: Path) -> None:
    files = RunFiles(run_dir, "one")
    files.claim()
    files.publish(info("one"))

    assert (mode(run_dir.parent), mode(run_dir)) == (0o700, 0o700)
    assert mode(files.connection_file) == 0o600
    assert files.pid_file.read_text() == f"{os.getpid()}\n"
    assert is_running(run_dir, "one")

    files.release()
    assert list(run_dir.iterdir()) == []


def test_a_run_directory_that_others_could_read_is_closed(run_dir: Path) -> None:
    run_dir.chmod(0o755)
    assert mode(run_directory(run_dir.parent)) == 0o700


def test_a_second_kernel_of_the_same_id_is_refused(run_dir: Path) -> None:
    first = RunFiles(run_dir, "one")
    first.claim()

    with pytest.raises(Busy, match="Kernel daemon already running with PID file"):
        RunFiles(run_dir, "one").claim()
    first.release()


def test_files_of_a_running_kernel_are_left_alone(run_dir: Path) -> None:
    files = RunFiles(run_dir, "alive")
    files.claim()
    files.publish(info("alive"))

    assert remove_stale_files(run_dir) == []
    assert files.connection_file.exists()
    files.release()


def test_a_damaged_stale_file_is_removed_too(run_dir: Path) -> None:
    (run_dir / "kernel-broken.json").write_text("{")
    assert remove_stale_files(run_dir) == ["broken"]
    assert list(run_dir.iterdir()) == []


def test_the_lock_of_a_kernel_that_was_killed_while_it_started_is_removed(run_dir: Path) -> None:
    (run_dir / "kernel-early.lock").touch()
    assert remove_stale_files(run_dir) == ["early"]
    assert list(run_dir.iterdir()) == []


def test_a_passing_look_at_the_lock_does_not_stop_a_start(run_dir: Path) -> None:
    lock = run_dir / "kernel-one.lock"
    lock.touch()
    holder = os.open(lock, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_SH)

    async def start_during_a_look() -> None:
        asyncio.get_running_loop().call_later(0.05, os.close, holder)
        files = RunFiles(run_dir, "one")
        await asyncio.to_thread(files.claim)
        assert is_running(run_dir, "one")
        files.release()

    asyncio.run(start_during_a_look())


def test_a_second_kernel_with_the_same_pid_file_is_refused_whatever_its_id(run_dir: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "my.pid"
    first = RunFiles(run_dir, "one", pid_file=pid_file)
    first.claim()
    second = RunFiles(run_dir, "two", pid_file=pid_file)

    with pytest.raises(Busy) as refused:
        second.claim()
    assert refused.value.message == f"Kernel daemon already running with PID file {pid_file}"
    second.release()
    assert pid_file.read_text() == f"{os.getpid()}\n", "who was refused leaves the files of the one that runs"
    assert not is_running(run_dir, "two")
    first.release()
    assert list(run_dir.iterdir()) == []
    assert not pid_file.exists()


def test_the_refusal_names_the_pid_file_that_the_running_kernel_has(run_dir: Path, tmp_path: Path) -> None:
    first = RunFiles(run_dir, "one", pid_file=tmp_path / "my.pid")
    first.claim()
    with pytest.raises(Busy) as refused:
        RunFiles(run_dir, "one").claim()
    assert refused.value.message.endswith(str(tmp_path / "my.pid"))
    first.release()


def test_a_file_that_is_no_pid_file_is_neither_overwritten_nor_removed(run_dir: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("do not lose this")
    with pytest.raises(ConfigError, match="is not a PID file"):
        RunFiles(run_dir, "one", pid_file=notes).claim()
    (run_dir / "kernel-dead.lock").write_text(str(notes))
    assert remove_stale_files(run_dir) == ["dead"]
    assert notes.read_text() == "do not lose this"
    assert list(run_dir.iterdir()) == []


def test_a_pid_file_that_can_not_be_written_is_said(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot write the PID file .*: No such file or directory"):
        RunFiles(run_dir, "one", pid_file=tmp_path / "nowhere" / "my.pid").claim()
    assert list(run_dir.iterdir()) == []


def test_a_home_without_room_is_said_and_nothing_stays(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(os, "pwrite", full)
        with pytest.raises(ConfigError, match=r"cannot write the kernel's files in .*: No space left on device"):
            RunFiles(run_dir, "one").claim()
    assert list(run_dir.iterdir()) == []
    assert not is_running(run_dir, "one")


def test_a_start_locks_the_file_of_its_name_although_the_last_kernel_has_just_removed_it(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = run_dir / "kernel-one.lock"
    take = fcntl.flock

    def take_after_an_end(fd: int, operation: int) -> None:
        # Between opening and locking, the kernel that had the file ends and removes it.
        monkeypatch.setattr(fcntl, "flock", take)
        lock.unlink()
        take(fd, operation)

    files = RunFiles(run_dir, "one")
    monkeypatch.setattr(fcntl, "flock", take_after_an_end)
    files.claim()
    assert is_running(run_dir, "one")
    files.release()


def test_clearing_spares_a_kernel_that_started_over_the_lock_that_was_looked_at(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = run_dir / "kernel-one.lock"
    lock.touch()
    started = RunFiles(run_dir, "one")
    take = fcntl.flock

    def take_after_a_start(fd: int, operation: int) -> None:
        # Between opening and locking the stale file it is removed, and a kernel starts under its name.
        monkeypatch.setattr(fcntl, "flock", take)
        started.claim()
        started.publish(info("one"))
        take(fd, operation)

    monkeypatch.setattr(fcntl, "flock", take_after_a_start)
    assert remove_stale_files(run_dir) == []
    assert started.connection_file.exists()
    assert is_running(run_dir, "one")
    started.release()
