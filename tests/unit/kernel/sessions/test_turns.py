"""Recorded answers of what is asked at the same time come in the order in which they came then."""

from __future__ import annotations

import asyncio

from llmspell_kernel.services.sessions.turns import Turns


def test_answers_come_in_the_order_of_the_record() -> None:
    async def main() -> None:
        turns, came = Turns(), []

        async def branch(name: str, *times: float) -> None:
            for time in times:
                await turns.wait(time)
                came.append((name, time))
                await asyncio.sleep(0)  # What an engine does between two questions.

        async with asyncio.TaskGroup() as group:
            for one in (("a", 1.0, 6.0), ("b", 2.0, 3.0, 4.0), ("c", 5.0)):
                group.create_task(branch(*one))
        assert [time for _, time in came] == sorted(time for _, time in came)

    asyncio.run(main())


def test_who_waits_no_more_keeps_no_other_waiting() -> None:
    async def main() -> None:
        turns = Turns()
        gone = asyncio.ensure_future(turns.wait(1.0))
        other = asyncio.ensure_future(turns.wait(2.0))
        await asyncio.sleep(0)
        gone.cancel()
        await other
        assert gone.cancelled()
        await turns.wait(0.5)

    asyncio.run(main())
