"""`python -m tests.support.flooding CONNECTION_FILE KIND`: sends what no client would, without a key and without end.

A line on standard output says that it has begun; the process that started it ends it.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

from llmspell_protocol.connection import CHANNELS, Channel, ConnectionInfo
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire
from tests.support.zmtp import frame, message, shake_hands

Bytes = Callable[[int], bytes]
"""What to send next, by number."""

_BEGUN_BYTES = 1 << 20
_AGAIN_S = 0.05
"""Between two connections: the kernel may have ended the first."""


def _forged(size: int) -> bytes:
    request = Message(HeaderFactory()("kernel_info_request"), {"x": "y" * size}, encoding="json")
    return message(*Wire(b"no key of the kernel's").pack(request))


def _new_topics(size: int, first: int) -> bytes:
    names = (b"%d" % number for number in range(first * 100, first * 100 + 100))
    return b"".join(message(b"\x01" + name.ljust(size, b"x")) for name in names)


def _always(data: bytes) -> Bytes:
    return lambda _: data


def kinds() -> dict[str, tuple[Channel, Bytes]]:
    """By name: the channel, and what is sent there."""
    turn = message(b"\x01topic") + message(b"\x00topic")
    found: dict[str, tuple[Channel, Bytes]] = {
        "iopub one topic": ("iopub", _always(turn * 1_000)),
        "iopub one subscription": ("iopub", _always(message(b"\x01topic") * 1_000)),
        "iopub short topics": ("iopub", partial(_new_topics, 8)),
        "iopub long topics": ("iopub", partial(_new_topics, 500)),
        "iopub no topics": ("iopub", _always(message(b"neither") * 1_000)),
        "hb beats": ("hb", _always(message(b"", b"x" * 4_000) * 100)),
    }
    for channel in ("shell", "control", "stdin"):
        found[f"{channel} forged"] = (channel, _always(_forged(10) * 100))
        found[f"{channel} large"] = (channel, _always(_forged(8 << 20)))
        found[f"{channel} parts"] = (channel, _always(message(*[b""] * 20_000)))
        found[f"{channel} noise"] = (channel, _always(message(b"x") * 1_000))
    for channel in CHANNELS:
        found[f"{channel} oversized"] = (channel, _always(message(b"x" * (65 << 20))))
        largest = 500 if channel in ("iopub", "hb") else 4 << 20
        found[f"{channel} unfinished"] = (channel, _always(frame(b"x" * largest, more=True)))
        found[f"{channel} unfinished nothings"] = (channel, _always(frame(b"", more=True) * 10_000))
    return found


@contextmanager
def flood(connection_file: str | Path, kind: str) -> Iterator[subprocess.Popen[str]]:
    """A process that floods for the time of a block; it has begun."""
    command = [sys.executable, "-m", "tests.support.flooding", str(connection_file), kind]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def main() -> None:
    """Floods until it is ended, with another connection whenever the kernel ends one."""
    info = ConnectionInfo.read(Path(sys.argv[1]))
    channel, following = kinds()[sys.argv[2]]
    numbers, sent = count(), 0
    begun = False
    while True:
        try:
            with shake_hands(info, channel) as peer:
                peer.settimeout(None)
                while True:
                    data = following(next(numbers))
                    peer.sendall(data)
                    sent += len(data)
                    if not begun and sent >= _BEGUN_BYTES:
                        print("begun", flush=True)
                        begun = True
        except OSError:
            if not begun:
                print("begun", flush=True)
                begun = True
            time.sleep(_AGAIN_S)


if __name__ == "__main__":
    main()
