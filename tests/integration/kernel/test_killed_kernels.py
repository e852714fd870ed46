"""What a killed kernel leaves is cleared, and the end of a kernel's parent is noticed: with real processes."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmspell_kernel.lifecycle import RunFiles, remove_stale_files, run_directory
from llmspell_kernel.parent import watch_process
from llmspell_protocol.discovery import is_running


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return run_directory(tmp_path / "home")


def test_what_a_killed_kernel_left_is_cleared_by_the_next_start(run_dir: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from llmspell_kernel.lifecycle import RunFiles
from llmspell_protocol.connection import ConnectionInfo
files = RunFiles(Path({str(run_dir)!r}), "dead")
files.claim()
files.publish(ConnectionInfo.consecutive("127.0.0.1", 40_000, "secret"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=30)
    assert (run_dir / "kernel-dead.json").exists()
    assert not is_running(run_dir, "dead")

    other = RunFiles(run_dir, "other")
    other.claim()
    assert {path.name for path in run_dir.iterdir()} == {"kernel-other.lock", "kernel-other.pid"}
    other.release()


NO_PIDFD = "import os\ndef refuse(*_):\n    raise OSError({number}, os.strerror({number}))\nos.pidfd_open = refuse\n"
"""A system that gives no descriptors of processes: too old, forbidden by a container, none left."""
REFUSALS = [None, errno.ENOSYS, errno.EPERM, errno.EMFILE]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_the_end_of_the_parent_ends_a_kernel_and_a_notebook_s_process(refusal: int | None) -> None:
    before = "" if refusal is None else NO_PIDFD.format(number=refusal)
    watching = (
        "import asyncio, sys\nfrom llmspell_kernel.parent import watch_process\nasync def main():\n"
        "    ended = asyncio.Event()\n    watch_process(int(sys.argv[1]), ended.set)\n"
        "    print(flush=True)\n    await ended.wait()\nasyncio.run(main())"
    )
    door = (
        "import sys, threading\nfrom llmspell_cli.notebook_door import _end_with\n"
        "threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()\n"
        "print(flush=True)\nthreading.Event().wait()"
    )
    for code, status in ((watching, 0), (door, -signal.SIGTERM)):
        parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        command = [sys.executable, "-c", before + code, str(parent.pid)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            assert child.poll() is None
            parent.communicate()
            assert child.wait(30) == status


def test_the_end_of_the_parent_is_noticed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)

    async def wait_for_its_end() -> None:
        ended = asyncio.Event()
        watch_process(parent.pid, ended.set)
        assert parent.stdin is not None
        parent.stdin.close()
        await asyncio.wait_for(ended.wait(), 20)

    asyncio.run(wait_for_its_end())
    parent.wait()


def killed_with(run_dir: Path, kernel_id: str, pid_file: Path) -> None:
    """Leaves what a kernel with a pid file of its own leaves when it is killed."""
    script = f"""
import os, signal
from pathlib import Path
from llmspell_kernel.lifecycle import RunFiles
RunFiles(Path({str(run_dir)!r}), {kernel_id!r}, pid_file=Path({str(pid_file)!r})).claim()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=30)


def test_a_pid_file_counts_as_stale_when_its_lock_is_free_although_its_pid_is_in_use(
    run_dir: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "my.pid"
    killed_with(run_dir, "dead", pid_file)
    pid_file.write_text(f"{os.getpid()}\n")  # a process that lives has got its number

    files = RunFiles(run_dir, "next", pid_file=pid_file)
    files.claim()
    assert pid_file.read_text() == f"{os.getpid()}\n"
    files.release()


def test_a_stale_pid_file_goes_wherever_it_stands(run_dir: Path, tmp_path: Path) -> None:
    pid_file = tmp_path / "my.pid"
    killed_with(run_dir, "dead", pid_file)
    assert pid_file.exists()
    assert remove_stale_files(run_dir) == ["dead"]
    assert not pid_file.exists()
