"""Frames between the kernel and its workers: a length, then one msgpack map. Knows file descriptors, not sockets.

A frame is a map with at least `op`. Length is four bytes, big-endian, at most `MAX_FRAME_BYTES`. Byte strings travel
as they are, integers of any size too, and texts are made whole. The kernel reads without blocking through
`FrameBuffer`; a worker uses `FramePipe`, which blocks.
"""

from __future__ import annotations

import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack

from llmspell_protocol.bounded import unpack

MAX_FRAME_BYTES = 64 * 1024 * 1024
MAX_FRAME_CONTAINERS = 1 << 20
"""Lists and maps in one frame: more than a script's value may hold (`scripting/lua/convert.py`)."""
_INTEGER = 1
"""msgpack's extension type for integers beyond 64 bits: all bytes, the highest first."""
_LENGTH = struct.Struct(">I")

Frame = dict[str, Any]


class FrameTooLarge(ValueError):
    """A frame is longer than `MAX_FRAME_BYTES`: the peer is broken or the stream has lost its place."""


class NotAFrame(ValueError):
    """What came through a pipe is no frame, or not one that any call could have."""


def pack_frame(frame: Mapping[str, Any]) -> bytes:
    """One frame as bytes, its length first.

    Raises:
        FrameTooLarge: it has more bytes than a frame may.
        TypeError, ValueError: values that frames don't have, or hundreds of maps or lists in each other.
    """
    try:
        body = _packed(frame)
    except UnicodeEncodeError:
        # Few texts have half a character in them, and every worker starts with this module.
        from llmspell_protocol.plain_values import with_whole_texts

        body = _packed(with_whole_texts(frame))
    if len(body) > MAX_FRAME_BYTES:
        raise FrameTooLarge(f"frame {frame.get('op')!r} of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


def _packed(frame: Any) -> bytes:
    body: bytes = msgpack.packb(frame, use_bin_type=True, default=_large_integer)
    return body


def _large_integer(value: object) -> msgpack.ExtType:
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} fits no frame")
    return msgpack.ExtType(_INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _extended(code: int, data: bytes) -> int:
    if code != _INTEGER:
        raise ValueError(f"type {code} is in no frame")
    return int.from_bytes(data, "big", signed=True)


class FrameBuffer:
    """Bytes in, whole frames out; a partial frame stays until the rest has come."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Adds bytes and yields every frame that is complete now."""
        self._data += data
        at = 0
        size = len(self._data)
        try:
            while size - at >= 4:
                (length,) = _LENGTH.unpack_from(self._data, at)
                if length > MAX_FRAME_BYTES:
                    raise FrameTooLarge(f"frame of {length} bytes announced")
                if size - at - 4 < length:
                    break
                body = bytes(self._data[at + 4 : at + 4 + length])
                at += 4 + length
                yield unpack(body, max_values=MAX_FRAME_BYTES, max_containers=MAX_FRAME_CONTAINERS, ext_hook=_extended)
        finally:
            del self._data[:at]


class FramePipe:
    """A worker's end of its pipe pair: blocking, one reader, any number of writing threads."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._buffer = FrameBuffer()
        self._ready: deque[Frame] = deque()
        self._write_lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)

    def send(self, frame: Mapping[str, Any]) -> None:
        """Writes one frame, waiting while the pipe is full.

        Raises:
            BrokenPipeError: the kernel is gone.
        """
        data = memoryview(pack_frame(frame))
        with self._write_lock:
            while data:
                data = data[os.write(self._write_fd, data) :]

    def receive(self, timeout_s: float | None = None) -> Frame | None:
        """The next frame; None when `timeout_s` passed without one (0: only look).

        Raises:
            EOFError: the kernel closed the pipe.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ready:
            wait_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            if not self._poll.poll(wait_ms):
                return None
            data = os.read(self._read_fd, 1 << 16)
            if not data:
                raise EOFError("the kernel closed the pipe")
            self._ready.extend(self._buffer.feed(data))
        return self._ready.popleft()
