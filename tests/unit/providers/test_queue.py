"""Who is next at one model."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_protocol.errors import Busy, WorkerCrashed
from llmspell_providers.residency.queue import FairQueue
from tests.support.turns import settle


class _Line:
    """Requests at a queue; each runs until it is told to end."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.began: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def come(self, client: str, name: str) -> None:
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._run(client, name))
        await settle()

    async def finish(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await settle()

    async def _run(self, client: str, name: str) -> None:
        async with self.queue.turn(client):
            self.began.append(name)
            await self._ends[name].wait()


def test_a_client_with_one_request_is_second_behind_a_client_with_twenty() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=1, max_waiting=100))
        for number in range(20):
            await line.come("A", f"A{number}")
        await line.come("B", "B0")
        await line.finish("A0")
        assert line.began == ["A0", "B0"]
        await line.finish("B0")
        for number in range(1, 20):
            await line.finish(f"A{number}")
        assert line.began == ["A0", "B0", *(f"A{number}" for number in range(1, 20))]
        assert line.queue.idle

    asyncio.run(scenario())


def test_clients_take_turns_and_each_keeps_its_own_order() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=1, max_waiting=100))
        for client in "ABC":
            for number in range(2):
                await line.come(client, f"{client}{number}")
        for name in ("A0", "B0", "C0", "A1", "B1", "C1"):
            await line.finish(name)
        assert line.began == ["A0", "B0", "C0", "A1", "B1", "C1"]

    asyncio.run(scenario())


def test_a_free_slot_goes_to_the_client_that_holds_fewest() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=4, max_waiting=100))
        for number in range(5):
            await line.come("A", f"A{number}")
        await line.come("B", "B0")
        await line.come("B", "B1")
        await line.finish("A0")
        await line.finish("A1")
        assert line.began == ["A0", "A1", "A2", "A3", "B0", "B1"]
        for name in ("A2", "A3", "A4", "B0", "B1"):
            await line.finish(name)

    asyncio.run(scenario())


def test_a_full_queue_says_when_to_come_back() -> None:
    async def scenario() -> None:
        now = 0.0
        queue = FairQueue(slots=1, max_waiting=2, clock=lambda: now)
        line = _Line(queue)
        await line.come("A", "A0")
        now = 40.0
        await line.finish("A0")
        for name in ("A1", "A2", "A3"):
            await line.come("A", name)
        with pytest.raises(Busy) as caught:
            async with queue.turn("B"):
                pass
        assert caught.value.retryable
        # Two wait, and a turn is taken to last between the first guess and the forty seconds that were seen.
        assert 4 < caught.value.details["retry_after_s"] < 80
        assert caught.value.details["max_queue"] == 2
        for name in ("A1", "A2", "A3"):
            await line.finish(name)

    asyncio.run(scenario())


def test_a_request_that_stops_waiting_leaves_no_gap() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=1, max_waiting=10))
        for name in ("A0", "A1", "A2"):
            await line.come("A", name)
        line.tasks["A1"].cancel()
        await settle()
        assert line.queue.waiting == 1
        await line.finish("A0")
        assert line.began == ["A0", "A2"]
        await line.finish("A2")
        assert line.queue.idle

    asyncio.run(scenario())


def test_a_request_cancelled_in_the_moment_of_its_turn_passes_the_turn_on() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=1, max_waiting=10))
        for name in ("A0", "A1", "A2"):
            await line.come("A", name)
        line.queue.resize(2)  # grants A1, whose task has not run yet
        line.tasks["A1"].cancel()
        await settle()
        assert line.began == ["A0", "A2"]
        await line.finish("A0")
        await line.finish("A2")
        assert line.queue.idle

    asyncio.run(scenario())


def test_no_request_begins_before_slots_open() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=0, max_waiting=10))
        await line.come("A", "A0")
        await line.come("B", "B0")
        assert line.began == []
        line.queue.resize(2)
        await settle()
        assert line.began == ["A0", "B0"]
        await line.finish("A0")
        await line.finish("B0")

    asyncio.run(scenario())


def test_each_waiting_request_gets_an_error_of_its_own() -> None:
    async def scenario() -> None:
        line = _Line(FairQueue(slots=0, max_waiting=10))
        await line.come("A", "A0")
        await line.come("B", "B0")
        line.queue.fail_waiting(WorkerCrashed("gone", hint="again"))
        errors = await asyncio.gather(*line.tasks.values(), return_exceptions=True)
        assert [type(error) for error in errors] == [WorkerCrashed, WorkerCrashed]
        assert errors[0] is not errors[1]
        assert isinstance(errors[1], WorkerCrashed)
        assert errors[1].hint == "again"
        assert line.queue.idle

    asyncio.run(scenario())
