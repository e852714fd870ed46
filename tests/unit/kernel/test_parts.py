"""Parts of requests: recorded as their own steps, each with one end, and nothing where nothing is followed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.parts import SilentSink, followed, is_followed, part_of, recorded
from llmspell_kernel.request import Content, Request
from llmspell_protocol.errors import InvalidRequest
from tests.support.recording_sink import RecordingSink


def request_of() -> Request:
    """A request of a client's."""
    return Request("r", "agent_request", {"action": "execute"}, Caller("c", "s"), RecordingSink())


class Kept:
    """A record that is looked at."""

    def __init__(self, of: str) -> None:
        self.of = of
        self.answers: list[Content] = []
        self.parts: list[tuple[str | None, Kept]] = []

    def answered(self, content: Content, buffers: Sequence[bytes]) -> None:
        """Is kept."""
        self.answers.append(content)

    def below(self, part: Request, step: str | None) -> Kept:
        """Is kept too."""
        self.parts.append((step, Kept(part.msg_type)))
        return self.parts[-1][1]


async def do(whole: Request, work: Any, step: str | None = None) -> Any:
    with part_of(whole, {"n": 1}, msg_type="tool_request", caller=whole.caller, sink=SilentSink()) as part:
        return await followed(part, work, shown=lambda value: {"value": value}, step=step)


async def doubled(content: Content) -> int:
    return int(content["n"]) * 2


def recorded_whole() -> tuple[Request, Kept]:
    whole, record = request_of(), Kept("whole")
    whole.record = record
    return whole, record


def test_a_part_of_what_is_recorded_is_recorded_below_it() -> None:
    whole, record = recorded_whole()
    assert asyncio.run(do(whole, doubled, "mine")) == 2
    [(step, kept)] = record.parts
    assert (step, kept.of, kept.answers) == ("mine", "tool_request", [{"status": "ok", "value": 2}])
    assert record.answers == []


def test_a_part_of_what_is_not_is_only_done() -> None:
    whole = request_of()
    assert not is_followed(whole)
    assert asyncio.run(do(whole, doubled)) == 2


@pytest.mark.parametrize(
    ("problem", "code"),
    [(InvalidRequest("no"), "invalid_request"), (asyncio.CancelledError(), "cancelled"), (ValueError(), "internal")],
)
def test_what_went_wrong_is_the_parts_answer(problem: BaseException, code: str) -> None:
    async def fail(_content: Content) -> int:
        raise problem

    whole, record = recorded_whole()
    with pytest.raises(type(problem)):
        asyncio.run(do(whole, fail))
    [(_, kept)] = record.parts
    assert [(one["status"], one["code"]) for one in kept.answers] == [("error", code)]


def test_a_stream_that_is_left_has_an_end() -> None:
    whole, record = recorded_whole()

    async def stream() -> Any:
        with (
            part_of(whole, {}, msg_type="model_request", caller=whole.caller, sink=SilentSink()) as part,
            recorded(part) as tell,
        ):
            yield 1
            yield 2
            tell({})

    async def leave() -> None:
        chunks = stream()
        await anext(chunks)
        await chunks.aclose()

    asyncio.run(leave())
    [(_, kept)] = record.parts
    assert [one["code"] for one in kept.answers] == ["cancelled"]
