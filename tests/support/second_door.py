"""A door without a socket: its clients are in the test's own process, and keep what they are answered."""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import Any

from llmspell_kernel.clients import Clients
from llmspell_kernel.identity import Key, client_caller
from llmspell_kernel.request import Request, Submit
from tests.support.recording_sink import RecordingSink


class SecondDoor:
    """Open while a kernel serves; `dropped` is what the test says."""

    def __init__(self) -> None:
        self.dropped: Counter[str] = Counter()
        self.closed = False
        self._numbers = count(1)
        self._submit: Submit
        self._clients: Clients

    def open(self, submit: Submit, clients: Clients) -> None:
        """Takes requests from here on."""
        self._submit, self._clients = submit, clients

    async def all_taken(self, patience_s: float) -> None:
        """A sink that records takes everything at once."""

    def close(self) -> None:
        """Takes no more."""
        self.closed = True

    def connect(self, client: str) -> None:
        """A client is there."""
        self._clients.came(client)

    def leave(self, client: str) -> None:
        """It has gone."""
        self._clients.gone(client)

    def send(self, client: str, msg_type: str, content: dict[str, Any], **options: Any) -> Request:
        """Starts a request and returns at once."""
        request = Request(
            id=f"second-{next(self._numbers)}",
            msg_type=msg_type,
            content=content,
            caller=client_caller(Key("second", b""), client=client, session=client, local=True),
            sink=RecordingSink(),
            raw_options=options,
        )
        self._submit(request)
        return request

    async def ask(self, client: str, msg_type: str, content: dict[str, Any], **options: Any) -> dict[str, Any]:
        """The reply to a request."""
        return await reply_to(self.send(client, msg_type, content, **options))


async def reply_to(request: Request) -> dict[str, Any]:
    """Waits until a request of this door has been answered."""
    assert request.task is not None
    await request.task
    assert isinstance(request.sink, RecordingSink)
    (reply,) = [content for kind, content in request.sink.sent if kind == "reply"]
    return reply
