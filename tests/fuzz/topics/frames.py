"""Mutated messages and mutated bytes at all five sockets of a real kernel, with its key and without.

Borne: the kernel answers the next good request, says no `internal`, and its memory stays bounded.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from random import Random
from typing import Any

import msgpack
import psutil

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import CHANNELS, Channel, ConnectionInfo
from llmspell_protocol.errors import KernelUnreachable, Timeout
from llmspell_protocol.messages import HeaderFactory
from llmspell_protocol.wire import DELIMITER, Wire
from tests.fuzz.trial import Trial
from tests.support.kernels import KernelProcess
from tests.support.zmtp import GREETING, dial, frame, ready

MOST_GROWTH_BYTES = 512 << 20
ASKED_EVERY = 20
ANSWER_S = 60.0
_CONTENTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("kernel_info_request", {}),
    ("execute_request", {"code": "return 1", "silent": False, "allow_stdin": False}),
    ("complete_request", {"code": "pri", "cursor_pos": 3}),
    ("is_complete_request", {"code": "if"}),
    ("comm_info_request", {}),
    ("model_request", {"action": "list", "backend": "candle"}),
    ("kernel_request", {"action": "queue"}),
    ("input_reply", {"value": "x"}),
)
_HEADS = (b"", b"{", b"[", b"\x80", b"\x81", b"\xdc\xff\xff", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc1")
_HEADERS = HeaderFactory()


def run(trial: Trial) -> None:
    """Sends mutated messages until the trial ends."""
    kernel = KernelProcess(env={"LLMSPELL_HOME": str(trial.directory)})
    try:
        process = psutil.Process(kernel.pid)
        before = process.memory_info().rss
        recent: list[str] = []
        while trial.more():
            channel = trial.random.choice(CHANNELS)
            data = _stream(trial.random, kernel.info, channel)
            recent.append(f"{channel}: {data[:200]!r} ({len(data)} bytes)")
            _send(kernel.info, channel, data)
            if trial.tried % ASKED_EVERY == 0 or trial.tried >= trial.inputs:
                _ask(kernel, recent)
                grown = process.memory_info().rss - before
                assert grown < MOST_GROWTH_BYTES, f"{grown} bytes after {recent}"
                recent.clear()
        _ask(kernel, recent)
        assert "incident" not in _log(kernel), _log(kernel)[-4_000:]
    finally:
        kernel.stop()


def _ask(kernel: KernelProcess, recent: Sequence[str]) -> None:
    assert kernel.process.poll() is None, f"the kernel ended after {recent}"
    try:
        with Client(kernel.info).connect(ANSWER_S) as client:
            reply = client.request("kernel_request", {"action": "status"}, channel="control", timeout_s=ANSWER_S)
            assert reply.result().content["status"] == "ok"
    except (KernelUnreachable, Timeout) as error:
        raise AssertionError(f"{error} after {recent}") from None


def _log(kernel: KernelProcess) -> str:
    with open(kernel.started["log_file"], encoding="utf-8") as file:
        return file.read()


def _send(info: ConnectionInfo, channel: Channel, data: bytes) -> None:
    try:
        with dial(info, channel) as peer:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # The kernel has ended a connection that made no sense.


def _stream(random: Random, info: ConnectionInfo, channel: Channel) -> bytes:
    """What one connection says: a handshake and some messages, as a rule; now and then bytes of it are mutated."""
    kind = b"SUB" if channel == "iopub" else b"DEALER"
    identity = random.choice(
        (b"", b"conn." + random.randbytes(12).hex().encode(), random.randbytes(random.randrange(40)))
    )
    handshake = GREETING + ready(kind, identity)
    said = b"".join(_message(random, info, channel) for _ in range(random.randint(1, 6)))
    if random.random() < 0.2:
        return _mutated(random, handshake + said)
    return handshake + (_mutated(random, said) if random.random() < 0.2 else said)


def _message(random: Random, info: ConnectionInfo, channel: Channel) -> bytes:
    if channel == "iopub":
        parts = [random.choice((b"\x00", b"\x01", b"\x02", b"")) + random.randbytes(random.randrange(30))]
    elif channel == "hb":
        parts = [random.randbytes(random.randrange(100)) for _ in range(random.randrange(1, 12))]
    else:
        parts = _parts(random, info)
    if random.random() < 0.3:
        parts = _shuffled(random, parts)
    ends = random.random() > 0.05
    return b"".join(frame(part, more=not ends or at < len(parts) - 1) for at, part in enumerate(parts))


def _parts(random: Random, info: ConnectionInfo) -> list[bytes]:
    """A request whose parts are mutated before they are signed, or after, or not at all."""
    msg_type, content = random.choice(_CONTENTS)
    pack = random.choice((lambda part: json.dumps(part).encode(), msgpack.packb))
    options: Any = random.choice(
        ({}, {}, {"isolated": True}, {"timeout_s": 1}, [], "x", {1: 2} if pack is msgpack.packb else None)
    )
    parts = [pack(part) for part in (_HEADERS(msg_type), {}, {"llmspell": options}, content)]
    if random.random() < 0.6:
        at = random.randrange(4)
        parts[at] = (
            random.choice(_HEADS) * random.choice((1, 1, 1, 2_000))
            if random.random() < 0.3
            else _mutated(random, parts[at])
        )
    wire = Wire(info.key.encode() if random.random() < 0.8 else b"another")
    signature = wire.sign(parts)
    if random.random() < 0.1:
        signature = _mutated(random, signature)
    buffers = [random.randbytes(random.randrange(50)) for _ in range(random.choice((0, 0, 0, 3, 2_000)))]
    return [DELIMITER, signature, *parts, *buffers]


def _shuffled(random: Random, parts: list[bytes]) -> list[bytes]:
    parts = list(parts)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(parts))
        match random.randrange(4):
            case 0:
                parts.insert(at, parts[random.randrange(len(parts))])
            case 1:
                parts[at] = b""
            case 2 if len(parts) > 1:
                del parts[at]
            case _:
                parts[at] = _mutated(random, parts[at])
    return parts


def _mutated(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(4):
            case 0 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 1:
                changed[at:at] = random.randbytes(random.randint(1, 30))
            case 2:
                del changed[at : at + random.randint(1, 30)]
            case _ if at < len(changed):
                changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xC1, 0xDD, 0xDF, 0xFF))
    return bytes(changed)
