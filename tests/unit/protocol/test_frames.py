"""Frames between a kernel and its workers: whole ones out of any pieces, and a pipe that tells when it ends."""

from __future__ import annotations

import os
import random
import struct
import threading
from collections.abc import Iterator

import pytest

from llmspell_protocol import frames as frames_module
from llmspell_protocol.frames import MAX_FRAME_BYTES, FrameBuffer, FramePipe, FrameTooLarge, pack_frame


@pytest.fixture
def pipes() -> Iterator[tuple[FramePipe, FramePipe]]:
    """Two ends that talk to each other."""
    down_read, down_write = os.pipe()
    up_read, up_write = os.pipe()
    yield FramePipe(up_read, down_write), FramePipe(down_read, up_write)
    for fd in (down_read, down_write, up_read, up_write):
        try:
            os.close(fd)
        except OSError:
            pass  # The test closed it.


def test_frames_come_out_whole_however_the_bytes_were_cut() -> None:
    sent = [{"op": "delta", "text": "é" * size, "raw": bytes(size)} for size in (0, 1, 50, 5000)]
    data = b"".join(map(pack_frame, sent))
    for seed in range(20):
        randomly = random.Random(seed)
        buffer, came, at = FrameBuffer(), [], 0
        while at < len(data):
            size = randomly.choice([1, 2, 3, 7, 100, 4000])
            came += list(buffer.feed(data[at : at + size]))
            at += size
        assert came == sent


def test_a_reader_that_stops_in_the_middle_loses_only_what_it_took() -> None:
    buffer = FrameBuffer()
    data = b"".join(pack_frame({"op": "n", "n": n}) for n in range(3))
    for frame in buffer.feed(data):
        assert frame["n"] == 0
        break
    assert [frame["n"] for frame in buffer.feed(b"")] == [1, 2]


def test_an_announced_length_beyond_the_limit_is_refused_before_it_is_awaited() -> None:
    with pytest.raises(FrameTooLarge, match=str(MAX_FRAME_BYTES + 1)):
        list(FrameBuffer().feed(struct.pack(">I", MAX_FRAME_BYTES + 1)))


def test_a_frame_beyond_the_limit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "MAX_FRAME_BYTES", 1000)
    with pytest.raises(FrameTooLarge, match="'stream'"):
        pack_frame({"op": "stream", "text": "x" * 1000})


def test_bytes_that_are_no_frame_are_a_value_error() -> None:
    with pytest.raises(ValueError):
        list(FrameBuffer().feed(struct.pack(">I", 1) + b"\xc1"))


def test_a_pipe_carries_frames_both_ways(pipes: tuple[FramePipe, FramePipe]) -> None:
    one, other = pipes
    one.send({"op": "execute", "code": "return 1"})
    assert other.receive(1.0) == {"op": "execute", "code": "return 1"}
    other.send({"op": "result", "value": 1})
    assert one.receive() == {"op": "result", "value": 1}


def test_looking_into_an_empty_pipe_takes_no_time(pipes: tuple[FramePipe, FramePipe]) -> None:
    one, _ = pipes
    assert one.receive(0) is None


def test_a_frame_larger_than_the_pipe_arrives_whole(pipes: tuple[FramePipe, FramePipe]) -> None:
    one, other = pipes
    large = {"op": "blob", "data": os.urandom(1_000_000)}
    sender = threading.Thread(target=one.send, args=(large,))
    sender.start()
    assert other.receive(10.0) == large
    sender.join()


def test_the_end_of_the_pipe_is_told_after_its_last_frame() -> None:
    read_fd, write_fd = os.pipe()
    pipe = FramePipe(read_fd, write_fd)
    os.write(write_fd, pack_frame({"op": "last"}) + b"\x00\x00")
    os.close(write_fd)
    assert pipe.receive(1.0) == {"op": "last"}
    with pytest.raises(EOFError):
        pipe.receive(1.0)
    os.close(read_fd)


def test_writing_to_a_kernel_that_is_gone_raises(pipes: tuple[FramePipe, FramePipe]) -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    unused, _ = os.pipe()
    with pytest.raises(BrokenPipeError):
        FramePipe(unused, write_fd).send({"op": "ready"})
    for fd in (write_fd, unused, _):
        os.close(fd)


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30, -(10**30), 10**400, -(10**400)])
def test_a_frame_carries_integers_of_any_size(number: int) -> None:
    frame = {"op": "chat", "schema": {"maximum": number, "enum": [number, -1]}, str(number)[:20]: True}
    assert list(FrameBuffer().feed(pack_frame(frame))) == [frame]


def test_halves_of_characters_become_one_mark_on_their_way() -> None:
    (frame,) = FrameBuffer().feed(pack_frame({"op": "done", "text": "a\ud83d", "\udc00": ["\ud83d\ude00"]}))
    assert frame == {"op": "done", "text": "a\ufffd", "\ufffd": ["\U0001f600"]}


def test_a_value_that_fits_no_frame_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object fits no frame"):
        pack_frame({"op": "chat", "value": object()})
