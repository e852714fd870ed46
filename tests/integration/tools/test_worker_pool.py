"""The pool of tool workers itself: its places, what is started ahead, and that nothing begins once it is closed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.errors import Unavailable


def pool(directory: Path, size: int) -> WorkerPool:
    return WorkerPool(
        "llmspell_tools.worker", log_path=directory / "tools.log", size=size, memory_bytes=1 << 30, kept=size
    )


def test_what_is_started_ahead_takes_a_place(tmp_path: Path) -> None:
    async def main() -> None:
        workers = pool(tmp_path, 1)
        try:
            async with workers.lease():
                workers.prepare()
                assert len(workers.pids) == 1
            workers.prepare()
            assert len(workers.pids) == 1
        finally:
            await workers.close()
        assert workers.pids == []

    asyncio.run(main())


def test_calls_that_wait_when_it_is_closed_fail_and_start_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        workers = pool(tmp_path, 1)
        begun = asyncio.Event()

        async def ask() -> str:
            async with workers.lease() as lease:
                begun.set()
                return str((await lease.calls.open("nothing that there is").last())["op"])

        first = asyncio.create_task(ask())
        await begun.wait()
        second = asyncio.create_task(ask())
        await asyncio.sleep(0)
        await workers.close()
        assert await first == "exited"
        with pytest.raises(Unavailable):
            await second
        workers.prepare()
        assert workers.pids == []

    asyncio.run(main())
