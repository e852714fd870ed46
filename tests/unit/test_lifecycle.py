"""A kernel's files: one kernel an id, stale files cleared, private modes, the parent's end noticed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from llmspell_kernel.lifecycle import RunFiles, remove_stale_files, run_directory, watch_parent
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.discovery import is_running
from llmspell_protocol.errors import Busy


def info(kernel_id: str) -> ConnectionInfo:
    connection = ConnectionInfo.consecutive("127.0.0.1", 40_000, "secret")
    return replace(connection, id=kernel_id, pid=os.getpid(), started_at="2026-01-01T00:00:00Z", version="0")


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


def test_a_second_kernel_of_the_same_id_is_refused(run_dir: Path) -> None:
    first = RunFiles(run_dir, "one")
    first.claim()

    with pytest.raises(Busy, match="Kernel daemon already running with PID file"):
        RunFiles(run_dir, "one").claim()
    first.release()


def test_what_a_killed_kernel_left_is_cleared_by_the_next_start(run_dir: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from llmspell_kernel.lifecycle import RunFiles
from tests.unit.test_lifecycle import info
files = RunFiles(Path({str(run_dir)!r}), "dead")
files.claim()
files.publish(info("dead"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False, timeout=30)
    assert (run_dir / "kernel-dead.json").exists()
    assert not is_running(run_dir, "dead")

    other = RunFiles(run_dir, "other")
    other.claim()
    assert {path.name for path in run_dir.iterdir()} == {"kernel-other.lock", "kernel-other.pid"}
    other.release()


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

    async def start_while_somebody_looks() -> None:
        asyncio.get_running_loop().call_later(0.05, os.close, holder)
        files = RunFiles(run_dir, "one")
        await asyncio.to_thread(files.claim)
        assert is_running(run_dir, "one")
        files.release()

    asyncio.run(start_while_somebody_looks())


def test_the_end_of_the_parent_is_noticed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    async def wait_for_its_end() -> None:
        ended = asyncio.Event()
        watch_parent(parent.pid, ended.set)
        assert parent.stdin is not None
        parent.stdin.close()
        await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(wait_for_its_end())
    parent.wait()
