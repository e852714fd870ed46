"""How a worker gathers tokens into deltas: the first at once, later ones by window, none left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from llmspell_protocol.frames import Frame, FramePipe
from llmspell_providers.candle.stream import Flusher, PipeReply

LONG_MS = 3_600_000
DEADLINE_S = 60.0


@pytest.fixture
def pipe() -> Iterator[tuple[FramePipe, FramePipe]]:
    """A worker's end and the kernel's end of one pipe."""
    read_fd, write_fd = os.pipe()
    yield FramePipe(read_fd, write_fd), FramePipe(read_fd, write_fd)
    os.close(read_fd)
    os.close(write_fd)


def frames(pipe: FramePipe) -> list[Frame]:
    """Everything that has been written."""
    found = []
    while (frame := pipe.receive(timeout_s=0)) is not None:
        found.append(frame)
    return found


def test_without_a_window_every_token_is_a_frame(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, 0, Flusher())
    for piece in ("one", " two"):
        reply.text(piece)
    assert frames(pipe[1]) == [{"op": "delta", "id": 7, "text": "one"}, {"op": "delta", "id": 7, "text": " two"}]


def test_the_first_token_never_waits_and_later_ones_come_together(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, LONG_MS, Flusher())
    for piece in ("one", " two", " three"):
        reply.text(piece)
    assert [frame["text"] for frame in frames(pipe[1])] == ["one"]
    reply.flush()
    assert [frame["text"] for frame in frames(pipe[1])] == [" two three"]
    reply.flush()
    assert frames(pipe[1]) == []


def test_a_token_is_sent_though_nothing_follows_it(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, 10, Flusher())
    reply.text("one")
    reply.text(" two")
    got = ""
    while got != "one two":
        frame = pipe[1].receive(timeout_s=DEADLINE_S)
        assert frame is not None, f"only {got!r} came"
        got += frame["text"]


def test_reasoning_and_answer_are_never_joined(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, LONG_MS, Flusher())
    reply.reasoning("hm")
    reply.reasoning(" well")
    reply.text("yes")
    reply.flush()
    sent = [{key: frame[key] for key in ("text", "reasoning") if key in frame} for frame in frames(pipe[1])]
    assert sent == [{"reasoning": "hm"}, {"reasoning": " well"}, {"text": "yes"}]


def test_a_cancelled_reply_sends_nothing_more(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, 0, Flusher())
    reply.cancel()
    reply.text("one")
    reply.progress(1, 2, 300.0)
    assert frames(pipe[1]) == []
    assert reply.cancelled


def test_progress_says_how_long_it_will_take(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, LONG_MS, Flusher())
    reply.progress(100, 400, 1000.0)
    assert frames(pipe[1]) == [{"op": "progress", "id": 7, "processed": 100, "total": 400, "eta_s": 3.0}]


def test_a_prompt_that_is_read_at_once_shows_no_progress(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, 0, Flusher())
    reply.progress(0, 24, 0.0)
    reply.progress(24, 24, 12.0)
    reply.text("Hello")
    assert frames(pipe[1]) == [{"op": "delta", "id": 7, "text": "Hello"}]


def test_progress_that_has_been_shown_is_shown_to_the_end(pipe: tuple[FramePipe, FramePipe]) -> None:
    reply = PipeReply(pipe[0], 7, 0, Flusher())
    reply.progress(100, 120, 60.0)
    reply.progress(120, 120, 5.0)
    assert [frame["processed"] for frame in frames(pipe[1])] == [100, 120]


def test_a_kernel_that_is_gone_cancels_the_reply() -> None:
    read_fd, write_fd = os.pipe()
    reply = PipeReply(FramePipe(read_fd, write_fd), 7, 0, Flusher())
    os.close(read_fd)
    reply.text("one")
    assert reply.cancelled
    os.close(write_fd)
