"""Calls to a worker process: who gets which answer, cancelling, leaving, and the end of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llmspell_protocol.calls import Calls
from llmspell_protocol.child import Child
from llmspell_protocol.errors import NotFound
from llmspell_protocol.frames import MAX_FRAME_BYTES, Frame, FrameTooLarge


def run(body: Callable[[Calls, list[Frame], list[int]], Awaitable[None]]) -> None:
    """Runs a test's body with calls to a worker, the frames that answer no call, and the exit statuses."""

    async def main() -> None:
        others: list[Frame] = []
        exits: list[int] = []
        child = Child.spawn("tests.support.counting_worker", environment={}, log_path=None)
        try:
            async with asyncio.timeout(20):
                await body(Calls(child, on_frame=others.append, on_exit=exits.append), others, exits)
        finally:
            await child.end()

    asyncio.run(main())


def test_answers_go_to_their_calls_and_the_rest_to_who_hears_it() -> None:
    async def body(calls: Calls, others: list[Frame], _exits: list[int]) -> None:
        first, second = calls.open("count", to=3), calls.open("count", to=1)
        said = calls.open("say", words="unasked")
        assert [call.id for call in (first, second, said)] == [0, 1, 2]
        assert (await said.last())["op"] == "done"
        assert others == [{"op": "said", "id": 2, "words": "unasked"}]
        assert (first.done, len(calls)) == (True, 0)
        assert (await second.last())["counted"] == 1
        assert (await first.last())["counted"] == 3

    run(body)


def test_a_question_of_the_worker_comes_to_its_call_and_the_answer_goes_back() -> None:
    async def body(calls: Calls, others: list[Frame], _exits: list[int]) -> None:
        first, second = calls.open("wonder", what="one"), calls.open("wonder", what="two")
        assert (await second.next())["what"] == "two"
        assert (await first.next())["what"] == "one"
        second.answer(said=2)
        assert (await second.last())["heard"] == 2
        first.answer(said=1)
        assert (await first.last())["heard"] == 1
        first.answer(said="too late")
        assert ((await calls.open("count", to=1).last())["op"], others) == ("done", [])

    run(body)


def test_deltas_that_have_piled_up_come_as_one_and_what_follows_them_stays() -> None:
    async def body(calls: Calls, _others: list[Frame], _exits: list[int]) -> None:
        piled = calls.open("count", to=4)
        await calls.open("count", to=0).last()
        assert await piled.next() == {"op": "delta", "id": 0, "text": "0 1 2 3 "}
        assert await piled.next() == {"op": "done", "id": 0, "counted": 4}

    run(body)


def test_a_cancelled_call_ends_by_the_workers_own_answer() -> None:
    async def body(calls: Calls, _others: list[Frame], _exits: list[int]) -> None:
        held = calls.open("hold")
        assert (await held.next())["op"] == "progress"
        held.cancel()
        assert (await held.last())["why"] == "cancelled"
        held.cancel()
        assert len(calls) == 0

    run(body)


def test_a_call_that_was_left_counts_until_the_worker_is_done_with_it() -> None:
    async def body(calls: Calls, _others: list[Frame], _exits: list[int]) -> None:
        held = calls.open("hold")
        held.leave()
        assert len(calls) == 1
        await calls.open("count", to=1).last()
        assert (len(calls), held.done) == (0, True)

    run(body)


def test_a_caller_that_was_cancelled_may_wait_again() -> None:
    async def body(calls: Calls, _others: list[Frame], _exits: list[int]) -> None:
        held = calls.open("hold")
        waiting = asyncio.create_task(held.last())
        await calls.open("count", to=0).last()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        held.cancel()
        assert (await held.last())["op"] == "error"

    run(body)


def test_the_end_of_the_process_ends_every_call_and_those_to_come() -> None:
    async def body(calls: Calls, _others: list[Frame], exits: list[int]) -> None:
        held, dying = calls.open("hold"), calls.open("die", status=3)
        assert await dying.last() == {"op": "exited", "id": 1, "status": 3}
        assert (await held.last())["status"] == 3
        assert (await calls.open("count", to=1).last())["status"] == 3
        assert (exits, calls.exit_status, len(calls)) == ([3], 3, 0)

    run(body)


def test_a_call_that_fits_no_frame_was_never_made() -> None:
    async def body(calls: Calls, _others: list[Frame], _exits: list[int]) -> None:
        with pytest.raises(FrameTooLarge):
            calls.open("count", to=b"x" * MAX_FRAME_BYTES)
        assert len(calls) == 0
        assert (await calls.open("count", to=2).last())["counted"] == 2

    run(body)


@pytest.mark.parametrize("problem", [ValueError, TypeError, KeyError, OverflowError, NotFound, RecursionError])
def test_what_goes_wrong_with_one_frame_costs_neither_the_next_nor_the_worker(
    problem: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        child = Child.spawn("tests.support.counting_worker", environment={}, log_path=None)

        def hear(frame: Frame) -> None:
            raise problem(frame["words"])

        try:
            async with asyncio.timeout(20):
                calls = Calls(child, on_frame=hear)
                for _ in range(2):
                    assert (await calls.open("say", words="hello").last())["op"] == "done"
                assert child.alive
        finally:
            await child.end()

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.exc_info is not None]
    assert [text.split(": ", 1)[1].split(" of the")[0] for text in told] == ["a frame 'said'"] * 2
    assert all(text.startswith("incident ") for text in told)


@pytest.mark.parametrize("frame", [1, [], {}, {"op": 1}, {"op": "done"}, {"op": "delta", "id": "0"}])
def test_a_worker_that_sends_what_is_no_frame_is_ended(frame: object) -> None:
    async def body(calls: Calls, _others: list[Frame], exits: list[int]) -> None:
        assert (await calls.open("babble", frame=frame).last())["op"] == "exited"
        assert exits == [-9]

    run(body)
