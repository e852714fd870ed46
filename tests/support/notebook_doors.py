"""Doors of notebooks at a running kernel: asked for as a frontend's process does, and jupyter_client's own clients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import write_connection_file

from llmspell_protocol.client.events import Reply
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.connection import ConnectionInfo
from tests.support.jupyter import DEADLINE_S

Json = dict[str, Any]


def connection_file(directory: Path, name: str = "0677daab-1111-4222-8333-444455556666") -> Path:
    """A new connection file on free ports, as a Jupyter server writes it."""
    path = directory / f"kernel-{name}.json"
    write_connection_file(str(path), key=f"key-{name}".encode(), kernel_name="llmspell")
    return path


def open_door(keeper: Client, file: Path, **fields: Any) -> tuple[str, Pending]:
    """Opens a notebook; its id, and the request that lasts as long as it. Raises what the kernel answers."""
    pending = keeper.request("notebook_request", {"action": "open", "connection_file": str(file), **fields})
    for opened in pending:
        return str(opened.content["notebook"]), pending
    raise AssertionError(pending.result())


def ended(pending: Pending) -> Json:
    """The reply at a notebook's end."""
    reply: Reply = pending.result(DEADLINE_S)
    return dict(reply.content)


@contextmanager
def frontend_of(file: Path, key: bytes | None = None) -> Iterator[BlockingKernelClient]:
    """A frontend that is connected to a notebook's door, by its connection file."""
    client = BlockingKernelClient()
    client.load_connection_file(str(file))
    if key is not None:
        client.session.key = key
    client.start_channels(hb=False)
    try:
        yield client
    finally:
        client.stop_channels()


class Keeper:
    """A connection that opens notebooks and goes away with them, as the process of a frontend does."""

    def __init__(self, info: ConnectionInfo) -> None:
        self._client = Client(info).connect(DEADLINE_S)

    def open(self, file: Path, **fields: Any) -> tuple[str, Pending]:
        """As `open_door`."""
        return open_door(self._client, file, **fields)

    def vanish(self) -> None:
        """The process is gone."""
        self._client.close()
