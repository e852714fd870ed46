"""Thousands of clients that come, ask and go, on every channel: the kernel's tables are what they were before."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from llmspell_kernel.doors.channels import Channels
from llmspell_kernel.doors.zmq import ZmqDoor
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire
from tests.support.kernel_in_process import SECRET, InProcessKernel, kernel_in_process
from tests.support.steering import ask_kernel, wait_until

CLIENTS = 2_500
AT_ONCE = 50
DEADLINE_MS = 60_000


def sizes(kernel: InProcessKernel) -> dict[str, int]:
    """How many entries each table has that has one for a client, a connection or a request."""
    found: dict[str, int] = {}
    seen: set[int] = set()

    def walk(path: str, one: Any) -> None:
        if id(one) in seen or not type(one).__module__.startswith("llmspell_kernel"):
            return
        seen.add(id(one))
        for name in (*getattr(one, "__dict__", ()), *getattr(type(one), "__slots__", ())):
            value = getattr(one, name, None)
            if name == "_ended":
                continue  # As many as this process has ever had descriptors at once.
            if isinstance(value, (dict, set, list)):
                found[f"{path}.{name}"] = len(value)
                for number, item in enumerate(tuple(value.values() if isinstance(value, dict) else value)[:100]):
                    walk(f"{path}.{name}[{number}]", item)
            else:
                walk(f"{path}.{name}", value)

    walk("kernel", kernel.kernel)
    return found


async def speak(info: ConnectionInfo, context: zmq.Context[Any], number: int) -> None:
    """One client of its own: on shell or control, with a word on stdin, and a subscription."""
    wire, headers = Wire(SECRET.encode()), HeaderFactory()

    def talk() -> None:
        route = b"conn.%024x" % number if number % 2 else b"%032x" % number
        sockets = []
        try:
            for channel in ("stdin", "iopub", "control" if number % 3 else "shell"):
                socket = context.socket(zmq.SUB if channel == "iopub" else zmq.DEALER)
                sockets.append(socket)
                socket.set(zmq.LINGER, 0)
                socket.set(zmq.RCVTIMEO, DEADLINE_MS)
                if channel == "iopub":
                    socket.set(zmq.SUBSCRIBE, b"none %d" % number)
                else:
                    socket.set(zmq.ROUTING_ID, route)
                socket.connect(info.endpoint(channel))  # type: ignore[arg-type]
                if channel == "stdin":
                    socket.send_multipart(wire.pack(Message(headers("input_reply"), {"value": ""})))
            socket.send_multipart(wire.pack(Message(headers("kernel_info_request"), {})))
            socket.recv_multipart()
        finally:
            for socket in sockets:
                socket.close()

    await asyncio.to_thread(talk)


def test_thousands_of_short_clients_leave_every_table_as_it_was(home: Path) -> None:
    async def main() -> None:
        async with kernel_in_process(home) as kernel:
            kernel.kernel._clients.on_change(changed.set)
            for each in _channels(kernel)._connections:
                each.on_change = _both(each.on_change, changed.set)
            await speak(kernel.info, context, 0)
            await gone(kernel)
            before = sizes(kernel)
            numbers = iter(range(1, CLIENTS))
            while batch := list(itertools.islice(numbers, AT_ONCE)):
                await asyncio.gather(*(speak(kernel.info, context, number) for number in batch))
            await gone(kernel)
            assert sizes(kernel) == before
        context.term()

    context: zmq.Context[Any] = zmq.Context()
    changed = asyncio.Event()

    async def gone(kernel: InProcessKernel) -> None:
        def look() -> None:
            with Client(kernel.info).connect(60.0) as client:
                wait_until(client, lambda status: status["clients"] == 1)

        await asyncio.to_thread(look)
        # The end of the one that looked, on all of its channels.
        channels = _channels(kernel)
        try:
            async with asyncio.timeout(60):
                while any(each.live for each in channels._connections) or len(kernel.kernel._clients):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            live = [sorted(each.live) for each in channels._connections]
            pytest.fail(f"still there: {live} and {list(kernel.kernel._clients)}")

    asyncio.run(main())


def _both(first: Callable[[], None], second: Callable[[], object]) -> Callable[[], None]:
    def call() -> None:
        first()
        second()

    return call


def _channels(kernel: InProcessKernel) -> Channels:
    [door] = kernel.kernel._doors
    assert isinstance(door, ZmqDoor)
    return door._channels


@pytest.mark.parametrize("clients", [150])
def test_clients_of_an_embedded_kernel_are_forgotten_when_they_close(home: Path, clients: int) -> None:
    from llmspell_kernel.embedded import EmbeddedKernel

    kernel = EmbeddedKernel.start(env={"LLMSPELL_HOME": str(home), "PATH": ""}, cwd=home)
    kernel.wait()
    try:
        for _ in range(clients):
            with Client(kernel.info, context=kernel.context).connect() as client:
                assert ask_kernel(client, "status")["status"] == "ok"
        with Client(kernel.info, context=kernel.context).connect() as client:
            wait_until(client, lambda status: status["clients"] == 1)
            listed = client.request("model_request", {"action": "list", "backend": "candle"})
            assert listed.result().content["status"] == "ok"
    finally:
        kernel.stop()
