"""Waiting for the end of processes that are not our children."""

from __future__ import annotations

import subprocess
import sys
import threading

from llmspell_cli.kernels.process_end import sleep_until_one_ends

TOO_LONG_S = 3600.0


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)


def test_the_end_of_one_of_several_ends_the_sleep() -> None:
    with sleeper() as one, sleeper() as other:
        kill = threading.Timer(0.1, one.kill)
        kill.start()
        sleep_until_one_ends([other.pid, one.pid], TOO_LONG_S, set())
        kill.join()
        assert other.poll() is None


def test_one_that_ended_before_is_told_of_once() -> None:
    """A kernel that ends between the look at it and the sleep, or that another machine's files tell of."""
    with sleeper() as ended, sleeper() as living:
        ended.kill()
        ended.wait()
        gone: set[int] = set()
        sleep_until_one_ends([ended.pid, living.pid], TOO_LONG_S, gone)
        assert gone == {ended.pid}
        kill = threading.Timer(0.1, living.kill)
        kill.start()
        sleep_until_one_ends([ended.pid, living.pid], TOO_LONG_S, gone)
        kill.join()
        assert living.wait(60) != 0
