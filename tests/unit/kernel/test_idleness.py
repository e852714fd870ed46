"""The idle timeout: it runs only while the kernel is unused, and begins anew with every use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from llmspell_kernel.idleness import Idleness
from tests.support.virtual_time import run_in_virtual_time

LIMIT_S = 60.0
LONG_S = 3600.0


class Kernel:
    """A kernel that may be in use, and notes when it was told that it is idle."""

    def __init__(self) -> None:
        self.used = False
        self.ended_at_s: float | None = None
        self.idleness = Idleness(lambda: self.used, self._ended)

    def _ended(self) -> None:
        self.ended_at_s = now_s()


def now_s() -> float:
    return asyncio.get_running_loop().time()


def run(scenario: Callable[[Kernel], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Kernel())

    run_in_virtual_time(main())


def test_without_use_it_ends_after_the_limit() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(LIMIT_S)
        await asyncio.sleep(LONG_S)
        assert kernel.ended_at_s == LIMIT_S

    run(scenario)


def test_neither_without_a_limit_nor_in_use_does_it_end_and_the_last_to_go_starts_the_time() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(0)
        kernel.idleness.look()
        await asyncio.sleep(LONG_S)
        kernel.used = True
        kernel.idleness.limit(LIMIT_S)
        await asyncio.sleep(LONG_S)
        assert kernel.ended_at_s is None
        kernel.used = False
        kernel.idleness.look()
        left_at_s = now_s()
        await asyncio.sleep(LONG_S)
        assert kernel.ended_at_s == left_at_s + LIMIT_S

    run(scenario)


def test_a_use_that_was_not_reported_counts_as_well() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(LIMIT_S)
        kernel.used = True
        await asyncio.sleep(LONG_S)
        assert kernel.ended_at_s is None, "a client has connected, and asked nothing yet"

    run(scenario)


def test_a_limit_that_is_lowered_counts_at_once() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(LONG_S)
        kernel.idleness.limit(LIMIT_S)
        await asyncio.sleep(2 * LONG_S)
        assert kernel.ended_at_s == LIMIT_S

    run(scenario)
