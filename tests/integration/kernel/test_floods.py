"""A local user without a key sends without end: others are answered in time, and the kernel's memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import CHANNELS, Channel
from tests.support.flooding import flood, kinds
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import raw_socket
from tests.support.steering import wait_until
from tests.support.zmtp import frame, shake_hands

IN_TIME_S = 60.0
"""Generous, for a machine that runs other tests beside; without bounds it is 43 s for one request after one second."""
ROUNDS = 2
MOST_GROWTH_BYTES = 768 << 20


@pytest.fixture(params=["tcp", "ipc"])
def kernel(request: pytest.FixtureRequest, home: Path) -> Iterator[KernelProcess]:
    process = KernelProcess(["--transport", request.param])
    yield process
    process.stop()


def kinds_of(channel: Channel, transport: str) -> list[str]:
    # Over ipc, which no other user can reach, nothing counts what was never finished.
    bounded = [kind for kind in kinds() if transport == "tcp" or "unfinished" not in kind]
    return [kind for kind in bounded if kind.startswith(channel)]


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_flood_of_one_channel_leaves_others_answered_and_memory_bounded(
    kernel: KernelProcess, channel: Channel
) -> None:
    process = psutil.Process(kernel.pid)
    before = process.memory_info().rss
    with kernel.client() as client:
        for kind in kinds_of(channel, kernel.info.transport):
            with flood(kernel.started["connection_file"], kind):
                for _ in range(ROUNDS):
                    assert_is_served(client)
                    assert process.memory_info().rss - before < MOST_GROWTH_BYTES, kind
            with kernel.client() as another:
                assert_is_served(another)


def assert_is_served(client: Client) -> None:
    status = client.request("kernel_request", {"action": "status"}, channel="control", timeout_s=IN_TIME_S)
    assert status.result().content["status"] == "ok"
    cell = client.request("execute_request", {"code": "return 1"}, timeout_s=IN_TIME_S)
    assert cell.result().content["status"] == "ok"


def test_a_subscriber_of_many_topics_is_cut_and_one_of_a_few_hears_all(kernel: KernelProcess) -> None:
    with flood(kernel.started["connection_file"], "iopub long topics"), kernel.client() as client:
        wait_for_dropped(client, "subscriptions")
        for _ in range(3):  # Descriptors of connections that were cut are given out again.
            with raw_socket(kernel.info, "iopub") as listener:
                listener.socket.send(b"\x01")
                while listener.receive().content != {"subscription": ""}:
                    pass
                cell = client.request("execute_request", {"code": "return 1"}, timeout_s=IN_TIME_S)
                assert cell.result().content["status"] == "ok"
                heard = listener.receive()
                # What was published before it had subscribed may come first.
                while (heard.parent_id, heard.content) != (cell.msg_id, {"execution_state": "idle"}):
                    heard = listener.receive()


def wait_for_dropped(client: Client, reason: str) -> None:
    wait_until(client, lambda status: reason in status["metrics"]["messages_dropped"])


@pytest.mark.parametrize(
    ("connections", "piece"),
    [(12, frame(b"x" * (60 << 20), more=True)), (200, frame(b"", more=True) * 30_000)],
    ids=["some that hold much", "many that hold next to nothing"],
)
def test_connections_that_together_hold_too_much_are_cut(home: Path, connections: int, piece: bytes) -> None:
    kernel = KernelProcess()
    try:
        process = psutil.Process(kernel.pid)
        before = process.memory_info().rss
        peers = [shake_hands(kernel.info, "shell") for _ in range(connections)]
        try:
            for peer in peers:
                try:
                    peer.sendall(piece)
                except OSError:
                    pass  # It was cut.
            with kernel.client() as client:
                metrics: dict[str, int] = {}
                while "unfinished" not in metrics:
                    metrics = (
                        client.request("kernel_request", {"action": "metrics"}).result().content["messages_dropped"]
                    )
                assert_is_served(client)
            assert process.memory_info().rss - before < MOST_GROWTH_BYTES
        finally:
            for peer in peers:
                peer.close()
    finally:
        kernel.stop()
