"""A client's side of the protocol without sockets: requests out, frames in, events by request.

Time comes in as an argument (seconds of a monotonic clock), so nothing here waits. A driver (`sync.py`, `aio.py`) sends
what `request` returns, hands over what arrives, and says when the time of a request is over or the connection is gone.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmspell_protocol.client.events import Delta, Event, InputRequest, Output, Progress, Reply
from llmspell_protocol.connection import Channel
from llmspell_protocol.errors import Internal, InvalidRequest, LlmspellError, Timeout, error_from_content
from llmspell_protocol.messages import METADATA_KEY, HeaderFactory, Message
from llmspell_protocol.numbers import WrongNumber
from llmspell_protocol.wire import MAX_MESSAGE_BYTES, MAX_PARTS_BYTES, Wire, WireError

_FAILED = ("error", "aborted", "abort")


class Exchange:
    """One request and what has come back so far; finished when `reply` or `error` is there.

    `events` are pending, in the order of arrival; `on_change` is called when there is something new.
    With `output` it ends only when the kernel has said on IOPub that it is idle again, since a reply may overtake
    output.
    """

    __slots__ = (
        "channel",
        "deadline",
        "error",
        "events",
        "idle",
        "msg_id",
        "msg_type",
        "next_seq",
        "on_change",
        "output",
        "reply",
    )

    def __init__(self, msg_id: str, msg_type: str, channel: Channel, deadline: float | None, output: bool) -> None:
        self.msg_id = msg_id
        self.msg_type = msg_type
        self.channel = channel
        self.deadline = deadline
        self.output = output
        self.idle = not output
        self.events: deque[Event | InputRequest] = deque()
        self.reply: Reply | None = None
        self.error: LlmspellError | None = None
        self.next_seq = 0
        self.on_change: Callable[[], None] | None = None

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.idle and (self.reply is not None or self.error is not None)

    def outcome(self) -> Reply:
        """The reply of a finished exchange, or its error raised."""
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise Internal(f"{self.msg_type} has no reply yet")
        return self.reply


class ClientCore:
    """Builds requests, matches what comes back by its parent, and checks the order.

    `dropped` counts messages that could not be trusted or read, by reason (`WireError.reason`).
    """

    def __init__(self, key: bytes, *, encoding: str = "msgpack") -> None:
        self._wire = Wire(key)
        self._header = HeaderFactory()
        self._encoding = encoding
        self._open: dict[str, Exchange] = {}
        self.dropped: Counter[str] = Counter()
        self.welcomed = False
        """Whether the kernel has confirmed the subscription to IOPub (`iopub_welcome`, JEP 65)."""

    @property
    def session(self) -> str:
        """The session id in the headers of all requests."""
        return self._header.session

    @property
    def open(self) -> Sequence[Exchange]:
        """The requests that are not finished."""
        return tuple(self._open.values())

    def request(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        channel: Channel = "shell",
        deadline: float | None = None,
        buffers: Sequence[bytes] = (),
        output: bool = False,
    ) -> tuple[Exchange, list[bytes]]:
        """A new request, and the frames to send for it on `channel`.

        Raises:
            InvalidRequest: it is larger than a kernel accepts, or holds values that can't be sent.
        """
        message = self._message(msg_type, content, metadata=metadata, buffers=buffers)
        frames = self._packed(message)
        exchange = Exchange(message.msg_id, msg_type, channel, deadline, output)
        self._open[message.msg_id] = exchange
        return exchange, frames

    def cancel(self, exchange: Exchange, kernel_info: Mapping[str, Any]) -> list[bytes]:
        """Frames for control that cancel a request: by its id, or by an interrupt at kernels of another make."""
        if METADATA_KEY in kernel_info:
            return self._packed(self._message("kernel_request", {"action": "cancel", "msg_id": exchange.msg_id}))
        return self._packed(self._message("interrupt_request", {}))

    def answer(self, question: InputRequest, line: str | None) -> list[bytes]:
        """Frames for stdin that answer a question of the kernel; None is the end of input."""
        content: dict[str, Any] = {"value": line} if line is not None else {"value": "", "eof": True}
        return self._packed(self._message("input_reply", content, parent=question.header))

    def receive(self, channel: Channel, frames: Sequence[bytes]) -> None:
        """Takes in one message; what it says goes to the exchange that it belongs to."""
        try:
            message = self._wire.unpack(frames)
        except WireError as error:
            self.dropped[error.reason] += 1
            return
        if message.msg_type == "iopub_welcome":
            self.welcomed = True
            return
        exchange = self._open.get(message.parent_id or "")
        if exchange is None or (channel == "iopub" and not exchange.output):
            return
        if channel == "iopub":
            _take_output(exchange, message)
        elif channel == "stdin":
            _take_question(exchange, message)
        else:
            _take_answer(exchange, message)
        if exchange.done:
            del self._open[exchange.msg_id]
        if exchange.on_change is not None:
            exchange.on_change()

    def next_deadline(self) -> float | None:
        """The earliest deadline of all open requests."""
        return min((item.deadline for item in self._open.values() if item.deadline is not None), default=None)

    def expire(self, now: float) -> list[Exchange]:
        """Ends the requests whose time is over with `Timeout` and returns them."""
        late = [item for item in self._open.values() if item.deadline is not None and item.deadline <= now]
        for exchange in late:
            self._end(exchange, Timeout(f"the kernel did not answer {exchange.msg_type} in time"))
        return late

    def fail(self, error: LlmspellError, channel: Channel | None = None) -> None:
        """Ends all open requests (of one channel, where named) with the error."""
        for exchange in tuple(self._open.values()):
            if channel is None or exchange.channel == channel:
                self._end(exchange, error)

    def _end(self, exchange: Exchange, error: LlmspellError) -> None:
        exchange.error, exchange.idle = error, True
        del self._open[exchange.msg_id]
        if exchange.on_change is not None:
            exchange.on_change()

    def _message(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
        parent: dict[str, Any] | None = None,
    ) -> Message:
        return Message(
            self._header(msg_type),
            dict(content),
            parent_header=parent,
            metadata=dict(metadata or {}),
            buffers=list(buffers),
            encoding=self._encoding,
        )

    def _packed(self, message: Message) -> list[bytes]:
        try:
            frames = self._wire.pack(message, exact=True)
        except WrongNumber as error:
            raise InvalidRequest(f"Invalid {message.msg_type}: {error}") from None
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidRequest(f"{message.msg_type} holds something that can't be sent: {error}") from None
        parts = sum(map(len, frames)) - sum(map(len, message.buffers))
        if parts > MAX_PARTS_BYTES:
            raise InvalidRequest(
                f"{message.msg_type} has {parts} bytes beside its buffers; a message may have {MAX_PARTS_BYTES}",
                details={"size_bytes": parts, "limit_bytes": MAX_PARTS_BYTES},
            )
        size = sum(map(len, frames))
        if size > MAX_MESSAGE_BYTES:
            raise InvalidRequest(
                f"{message.msg_type} has {size} bytes; a message may have {MAX_MESSAGE_BYTES}",
                details={"size_bytes": size, "limit_bytes": MAX_MESSAGE_BYTES},
            )
        return frames


def _take_answer(exchange: Exchange, message: Message) -> None:
    content = message.content
    # Kernels of another make number nothing, and neither do answers that no request of ours asked for.
    seq = content.get("seq")
    if seq is not None:
        if seq != exchange.next_seq:
            exchange.idle = True
            exchange.error = Internal(
                f"answers to {exchange.msg_type} were lost on the way: number {exchange.next_seq} is missing",
                details={"expected_seq": exchange.next_seq, "seq": seq},
            )
            return
        exchange.next_seq += 1
    if message.msg_type.endswith("_delta"):
        exchange.events.append(Delta(content, message.buffers))
    elif message.msg_type.endswith("_progress"):
        exchange.events.append(Progress(content))
    elif message.msg_type.endswith("_reply"):
        # Not every other status is an error: is_complete_reply answers with it.
        if content.get("status") in _FAILED:
            exchange.error = error_from_content(content)
        else:
            exchange.reply = Reply(content, message.buffers, message.metadata)


def _take_output(exchange: Exchange, message: Message) -> None:
    if message.msg_type == "status":
        exchange.idle = message.content.get("execution_state") == "idle"
    else:
        exchange.events.append(Output(message.msg_type, message.content, message.metadata, message.buffers))


def _take_question(exchange: Exchange, message: Message) -> None:
    if message.msg_type == "input_request":
        content = message.content
        exchange.events.append(
            InputRequest(str(content.get("prompt", "")), bool(content.get("password", False)), message.header)
        )
