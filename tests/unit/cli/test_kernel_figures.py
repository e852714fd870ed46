"""Several kernels are asked side by side."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import closing

from llmspell_cli.kernels.kernel_figures import figures_of_all
from llmspell_protocol.connection import CHANNELS, ConnectionInfo

DEADLINE_S = 30.0


def test_one_that_hangs_does_not_keep_the_next_from_being_asked() -> None:
    with closing(_listening()) as first, closing(_listening()) as last:
        infos = [_all_channels_at(server.getsockname()[1]) for server in (first, last)]
        found: list[dict[str, object]] = []
        asking = threading.Thread(target=lambda: found.extend(figures_of_all(infos)))
        asking.start()
        with closing(_accepted(first)) as hanging, closing(_accepted(last)):
            assert not _is_closed(hanging), "the first was given up before the second was asked"
        asking.join(DEADLINE_S)
    assert [one["status"] for one in found] == ["Unknown", "Unknown"]


def _listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def _all_channels_at(port: int) -> ConnectionInfo:
    return ConnectionInfo(**{f"{channel}_port": port for channel in CHANNELS}, key="k", id=f"at-{port}")


def _accepted(server: socket.socket) -> socket.socket:
    server.settimeout(DEADLINE_S)
    return server.accept()[0]


def _is_closed(peer: socket.socket) -> bool:
    """Whether the other side has closed; ZeroMQ's greeting may be there to be read."""
    peer.setblocking(False)
    while select.select([peer], [], [], 0)[0]:
        if not peer.recv(4096):
            return True
    return False
