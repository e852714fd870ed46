"""The idle timeout: it runs only while nobody uses the kernel, and begins anew with every use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from llmspell_kernel.idleness import Idleness

SHORT_S = 0.02
LONG_S = 3600.0


class Kernel:
    """Somebody who may be in use, and hears that it was not."""

    def __init__(self) -> None:
        self.used = False
        self.ended = asyncio.Event()
        self.idleness = Idleness(lambda: self.used, self.ended.set)


def run(scenario: Callable[[Kernel], Awaitable[None]]) -> None:
    async def main() -> None:
        await scenario(Kernel())

    asyncio.run(main())


def test_without_use_it_ends_after_the_limit() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(SHORT_S)
        await asyncio.wait_for(kernel.ended.wait(), 20)

    run(scenario)


def test_no_limit_and_use_are_no_timer_and_the_last_to_go_starts_one() -> None:
    async def scenario(kernel: Kernel) -> None:
        slower = Kernel()
        kernel.idleness.limit(0)
        kernel.idleness.look()
        kernel.used = True
        kernel.idleness.limit(SHORT_S)
        slower.idleness.limit(3 * SHORT_S)
        await asyncio.wait_for(slower.ended.wait(), 20)
        assert not kernel.ended.is_set()
        kernel.used = False
        kernel.idleness.look()
        await asyncio.wait_for(kernel.ended.wait(), 20)

    run(scenario)


def test_a_use_that_nobody_told_of_counts_as_well() -> None:
    async def scenario(kernel: Kernel) -> None:
        slower = Kernel()
        kernel.idleness.limit(SHORT_S)
        kernel.used = True
        slower.idleness.limit(3 * SHORT_S)
        await asyncio.wait_for(slower.ended.wait(), 20)
        assert not kernel.ended.is_set(), "a client has connected, and asked nothing yet"

    run(scenario)


def test_a_limit_that_is_lowered_counts_at_once() -> None:
    async def scenario(kernel: Kernel) -> None:
        kernel.idleness.limit(LONG_S)
        kernel.idleness.limit(SHORT_S)
        await asyncio.wait_for(kernel.ended.wait(), 20)

    run(scenario)
