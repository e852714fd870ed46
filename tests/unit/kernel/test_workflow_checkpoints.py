"""Checkpoints of two kernels in one home: who may go on with an execution, and what is left when it has ended."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.workflows.checkpoints import Checkpoints, DiskJournal
from llmspell_kernel.services.workflows.locks import Lock, Locks
from llmspell_protocol.errors import Busy, LlmspellError, NotFound


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that is its owner's alone."""
    tmp_path.chmod(0o700)
    return tmp_path


async def begun(checkpoints: Checkpoints, id: str) -> DiskJournal:
    raw: dict[str, Any] = {"type": "sequential", "name": "w"}
    return await checkpoints.begin(
        id, key_id="k", raw=raw, has_functions=False, name="w", input=None, shared=dict[str, Any]()
    )


def lock_files(home: Path) -> int:
    return len(list((home / "workflows").iterdir()))


async def problem_of(checkpoints: Checkpoints, id: str, key_id: str = "k") -> str:
    """Why it can't be resumed."""
    try:
        journal = await checkpoints.resume(id, key_id=key_id)
    except LlmspellError as error:
        return error.code
    journal.leave()
    return "none"


def test_what_ends_while_another_kernel_asks_for_it_is_not_resumed(home: Path) -> None:
    def end(id: str, has_begun: threading.Event, may_end: threading.Event) -> None:
        async def body() -> None:
            checkpoints = Checkpoints(home)
            journal = await begun(checkpoints, id)
            has_begun.set()
            may_end.wait()
            await journal.end()
            journal.leave()
            await checkpoints.close()

        asyncio.run(body())

    async def body() -> None:
        checkpoints = Checkpoints(home)
        for number in range(5):
            has_begun, may_end = threading.Event(), threading.Event()
            first = threading.Thread(target=end, args=(str(number), has_begun, may_end))
            first.start()
            has_begun.wait()
            asked = asyncio.get_running_loop().create_task(problem_of(checkpoints, str(number)))
            await asyncio.sleep(0)  # It has asked the database.
            may_end.set()
            first.join()  # The loop hears of the answer only when the other has ended.
            assert await asked in (Busy.code, NotFound.code)
        assert lock_files(home) == 0
        await checkpoints.close()

    asyncio.run(body())


def test_an_execution_is_busy_for_its_own_key_and_unknown_to_others(home: Path) -> None:
    async def body() -> None:
        first, second = Checkpoints(home), Checkpoints(home)
        journal = await begun(first, "a")
        assert await problem_of(second, "a") == Busy.code
        assert await problem_of(second, "a", key_id="other") == NotFound.code
        assert await problem_of(second, "b") == NotFound.code
        assert lock_files(home) == 1
        journal.leave()
        assert await problem_of(second, "a", key_id="other") == NotFound.code
        assert await problem_of(second, "a") == "none"
        await asyncio.gather(first.close(), second.close())

    asyncio.run(body())


def test_a_lock_whose_file_is_removed_between_opening_and_locking_it_is_not_held_by_two(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locks, lock_it = Locks(home / "locks"), fcntl.flock
    first = locks.taken("a")
    assert first is not None
    assert locks.taken("a") is None
    others: list[Lock | None] = []

    def late(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock_it)
        first.remove()
        first.release()
        others.append(locks.taken("a"))  # Of a new file.
        lock_it(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    assert locks.taken("a") is None
    [other] = others
    assert other is not None
    other.release()
    last = locks.taken("a")
    assert last is not None
    last.release()


def test_what_has_expired_is_removed_with_its_lock_file_but_for_what_runs(home: Path) -> None:
    async def body() -> None:
        first = Checkpoints(home)
        (await begun(first, "cut")).leave()
        running = await begun(first, "running")
        with sqlite3.connect(home / "workflows.db") as connection:
            connection.execute("UPDATE executions SET changed_ms = 1")
        connection.close()
        (home / "workflows" / ("0" * 32 + ".lock")).touch()  # Left behind by a kernel that was killed.
        second = Checkpoints(home)
        (await begun(second, "new")).leave()
        assert [one.id for one in await second.list("k")] == ["running", "new"]
        assert lock_files(home) == 2
        await running.end()
        running.leave()
        assert lock_files(home) == 1
        await asyncio.gather(first.close(), second.close())

    asyncio.run(body())
