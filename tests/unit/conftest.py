"""Unit tests start no process: one that does fails, and belongs to tests/integration."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_STARTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.exec"})
_started: list[str] | None = None
"""What the running unit test has started; None while none runs."""


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if _started is not None and event in _STARTS:
        _started.append(f"{event} {arguments[:2]}"[:200])
        raise RuntimeError("a unit test starts no process")


sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _no_process_is_started() -> Iterator[None]:
    """Fails a test that starts a process, also where the code under test has caught the refusal."""
    global _started
    _started = started = []
    yield
    _started = None
    assert not started, f"a unit test started a process; move it to tests/integration: {'; '.join(started)}"
