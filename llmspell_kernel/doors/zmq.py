"""The ZeroMQ front door: messages become requests, answers become messages. Knows no handler."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from itertools import count

from llmspell_kernel.clients import Connected
from llmspell_kernel.doors.binding import Sockets
from llmspell_kernel.doors.channels import Channels
from llmspell_kernel.doors.outbox import Outgoing
from llmspell_kernel.identity import Caller, KeyRing, client_caller, standard_right
from llmspell_kernel.request import Content, Request, Submit
from llmspell_protocol.areas import AREA_OF
from llmspell_protocol.connection import ConnectionInfo
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.loopback import is_loopback
from llmspell_protocol.messages import Message, area_of

_END_OF_INPUT = "\x04"
"""What jupyter_console answers for Ctrl-D, and ipykernel takes it for."""


class ZmqDoor:
    """The five Jupyter sockets, bound already (see `bind_sockets`); `notebook` is the one whose door it is."""

    def __init__(self, info: ConnectionInfo, sockets: Sockets, ring: KeyRing, notebook: str | None = None) -> None:
        self._notebook = notebook
        self._ring = ring
        self._channels = Channels(info, ring, self._receive, self._gone, self._returned, self._stdin_made)
        self._sockets = sockets
        self._questions = Questions(self._channels)
        self._name_secret = os.urandom(16)
        self._on_shell: set[bytes] = set()
        self._submit: Submit
        self._clients: Connected

    @property
    def dropped(self) -> Counter[str]:
        """How many messages were dropped, by reason."""
        return self._channels.dropped

    def open(self, submit: Submit, clients: Connected) -> None:
        """Starts reading."""
        self._submit = submit
        self._clients = clients
        self._channels.bind(self._sockets)

    async def all_taken(self, patience_s: float) -> None:
        """Waits until slow clients have taken their replies, or take nothing for so long; five times that at most."""
        await self._channels.all_taken(patience_s)

    def close(self) -> None:
        """Closes the sockets; what was sent has two seconds to leave."""
        self._channels.close()

    def _gone(self, channel: str, route: bytes) -> None:
        if channel == "control" and route in self._on_shell and self._channels.tells_of_ends:
            return
        self._questions.client_gone(route)
        if channel != "stdin":
            self._on_shell.discard(route)
            self._clients.gone(self._client_name(route))

    def _returned(self, channel: str, route: bytes) -> None:
        self._clients.returned(self._client_name(route))
        if channel == "shell":  # It may return on control too, and is asked once.
            self._questions.ask_again(route)

    def _stdin_made(self) -> None:
        self._questions.stdin_made()

    def _client_name(self, route: bytes) -> str:
        """What requests, queues and lists call a client: never its routing id, which is for it and the kernel alone.

        A peer that knows that id can connect with it and take what the client is answered.
        """
        return blake2b(route, key=self._name_secret, digest_size=12).hexdigest()

    def _receive(self, channel: str, message: Message) -> None:
        """A message from shell, control or stdin; a client counts once it has spoken on one of the first two.

        It is gone when its connection to shell ends, or the one to control where it has none to shell.
        """
        route = message.identities[0]
        if channel == "shell":
            self._on_shell.add(route)
        if channel != "stdin":
            self._clients.came(self._client_name(route))
        self._questions.heard_of(route)
        if message.msg_type == "input_reply":
            # It is no request, so that dispatch never sees it.
            if self._caller(message).may(standard_right(message.msg_type)):
                self._questions.answered(message)
            return
        if channel == "stdin":
            return
        sink = SocketSink(self._channels, channel, message, self._questions)
        request = Request(
            id=message.msg_id,
            msg_type=message.msg_type,
            content=message.content,
            caller=self._caller(message),
            sink=sink,
            raw_options=message.options,
            buffers=message.buffers,
            header=message.header,
            of_notebook="cellId" in message.metadata,
            problem=InvalidRequest(f"{message.msg_type} holds too much: {message.problem}")
            if message.problem
            else None,
        )
        self._submit(request)

    def _caller(self, message: Message) -> Caller:
        info = self._channels.info
        route = message.identities[0]
        return client_caller(
            self._ring.of_route(route),
            client=self._client_name(route),
            session=str(message.header["session"]),
            local=info.transport != "tcp" or is_loopback(info.ip),
            notebook=self._notebook,
        )


class SocketSink:
    """Answers that go back to the client on the channel its request came from."""

    def __init__(self, channels: Channels, channel: str, message: Message, questions: Questions) -> None:
        self._channels = channels
        self._channel = channel
        self._request = message
        self._area = area_of(message.msg_type)
        self._counter = count() if message.msg_type in AREA_OF or message.options else None
        self._questions = questions

    def progress(self, content: Content) -> None:
        """Sends `<area>_progress`."""
        self._send("progress", content)

    def delta(self, content: Content) -> None:
        """Sends `<area>_delta`."""
        self._send("delta", content)

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        """Sends `<area>_reply`."""
        self._send("reply", content, buffers)

    def publish(
        self, msg_type: str, content: Content, metadata: Content | None = None, buffers: Sequence[bytes] = ()
    ) -> None:
        """Sends on IOPub."""
        topic = f"stream.{content.get('name')}" if msg_type == "stream" else None
        message = Message(
            self._channels.headers(msg_type),
            content,
            parent_header=self._request.header,
            metadata=metadata,
            buffers=list(buffers),
        )
        self._channels.publish(message, topic)

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        """Asks the client for a line over stdin; None where it doesn't allow that or the input has ended."""
        if not self._request.content.get("allow_stdin"):
            return None
        return await self._questions.ask(self._request, prompt, password)

    def backlog(self) -> int:
        """Messages that wait for the client to read."""
        return self._channels.backlog(self._channel, self._request.identities[0])

    def _send(self, kind: str, content: Content, buffers: Sequence[bytes] = ()) -> None:
        message = Message(
            self._channels.headers(f"{self._area}_{kind}"),
            dict(content),
            parent_header=self._request.header,
            identities=self._request.identities,
            buffers=list(buffers),
            encoding=self._request.encoding,
        )
        self._channels.send(self._channel, Outgoing(message, self._counter))


class _Question:
    """An open question; `made` connections to stdin there were when it was sent last."""

    __slots__ = ("answer", "made", "message")

    def __init__(self, answer: asyncio.Future[str | None], message: Message, made: int | None) -> None:
        self.answer = answer
        self.message = message
        self.made = made


class Questions:
    """Input that scripts wait for: one open question a client."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._open: dict[bytes, _Question] = {}
        self._not_asked: set[bytes] = set()
        """Clients that have returned, and could not be asked again yet."""

    async def ask(self, request: Message, prompt: str, password: bool) -> str | None:
        """Sends `input_request` to the client that started it all and waits for its answer."""
        route = request.identities[0]
        while (earlier := self._open.get(route)) is not None:  # several may have waited for it
            await asyncio.wait([earlier.answer])
        answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        message = Message(
            self._channels.headers("input_request"),
            {"prompt": prompt, "password": password},
            parent_header=request.header,
            identities=request.identities,
            encoding=request.encoding,
        )
        question = self._open[route] = _Question(answer, message, self._channels.connections_made("stdin"))
        try:
            self._channels.send("stdin", Outgoing(message))
            return await answer
        finally:
            if self._open.get(route) is question:
                del self._open[route]
                self._not_asked.discard(route)
            answer.cancel()

    def ask_again(self, route: bytes) -> None:
        """The client is there through another connection, and knows of no open question."""
        if route in self._open:
            self._not_asked.add(route)
            self.heard_of(route)

    def stdin_made(self) -> None:
        """A connection to stdin was made: it may be that of a client that has returned."""
        for route in tuple(self._not_asked):
            self.heard_of(route)

    def heard_of(self, route: bytes) -> None:
        """The client has sent something: its connection to stdin may be there by now.

        Until one has been made since it was asked, the question would go through the old one, to a peer that is gone.
        """
        if route not in self._not_asked:
            return
        question = self._open[route]
        made = self._channels.connections_made("stdin")
        if made is not None and made == question.made:
            return
        question.made = made
        if self._channels.offer("stdin", question.message):
            self._not_asked.discard(route)

    def client_gone(self, route: bytes) -> None:
        """The client can't answer any more: the end of input."""
        self._settle(route, None)

    def answered(self, message: Message) -> None:
        """An `input_reply` has come; `eof` (ours) is the end of input, and so is what consoles send for it."""
        route = message.identities[0]
        question = self._open.get(route)
        # jupyter_client's own clients answer without a parent; an answer that has one may be to a question of before.
        if question is None or message.parent_id not in (None, question.message.msg_id):
            return
        value = message.content.get("value", "")
        self._settle(route, None if message.content.get("eof") or value == _END_OF_INPUT else str(value))

    def _settle(self, route: bytes, line: str | None) -> None:
        question = self._open.get(route)
        if question is not None and not question.answer.done():
            question.answer.set_result(line)
