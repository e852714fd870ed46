"""Messages as version 5.5 of Jupyter's specification has them, and a client that keeps all that a kernel sends.

Source: https://jupyter-client.readthedocs.io/en/stable/messaging.html. Written from it and from nothing of llmspell's:
a field that stands here is in the text there, and one that may be left out is marked so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import zmq
from jupyter_client.session import Session

Json = dict[str, Any]
Fits = Callable[[Any], bool]
DEADLINE_S = 60.0


class Optional:
    """A field that may be left out."""

    def __init__(self, fits: Fits) -> None:
        self.fits = fits


def text(value: Any) -> bool:
    return isinstance(value, str)


def filled(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def flag(value: Any) -> bool:
    return isinstance(value, bool)


def table(value: Any) -> bool:
    return isinstance(value, dict)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def one_of(*words: str) -> Fits:
    return lambda value: value in words


def bundle(value: Any) -> bool:
    """MIME types and data; text/plain is always among them."""
    return table(value) and "text/plain" in value and all("/" in key for key in value)


def maybe_bundle(value: Any) -> bool:
    """A bundle, or nothing where nothing was found."""
    return table(value) and (not value or bundle(value))


def payloads(value: Any) -> bool:
    """A list of maps, each with its source and what belongs to that."""
    fields: Mapping[str, Mapping[str, Fits]] = {
        "page": {"data": bundle, "start": count},
        "set_next_input": {"text": text, "replace": flag},
    }
    return isinstance(value, list) and all(
        table(one) and one.get("source") in fields and not problems_of(one, fields[one["source"]]) for one in value
    )


def expressions(value: Any) -> bool:
    """Each is a bundle with metadata, or an error, by its own status."""

    def is_one(one: Any) -> bool:
        if one.get("status") == "ok":
            return not problems_of(one, {"data": bundle, "metadata": table})
        return one.get("status") == "error" and not problems_of(one, ERROR)

    return table(value) and all(table(one) and is_one(one) for one in value.values())


def history(value: Any) -> bool:
    """Entries of (session, line, input), the input with its output as a pair where that was asked for."""

    def is_one(one: Any) -> bool:
        if not isinstance(one, list) or len(one) != 3 or not count(one[0]) or not count(one[1]):
            return False
        given = one[2]
        pair = isinstance(given, list) and len(given) == 2 and text(given[0]) and (given[1] is None or text(given[1]))
        return text(given) or pair

    return isinstance(value, list) and all(map(is_one, value))


def language(value: Any) -> bool:
    """`language_info`."""
    fields = {"name": filled, "version": text, "mimetype": filled, "file_extension": lambda end: end.startswith(".")}
    return table(value) and not problems_of(value, fields)


def links(value: Any) -> bool:
    """`help_links`."""
    return isinstance(value, list) and all(not problems_of(one, {"text": text, "url": text}) for one in value)


def version(value: Any) -> bool:
    """Two or three numbers."""
    return text(value) and re.fullmatch(r"\d+\.\d+(\.\d+)?", value) is not None


ERROR: Mapping[str, Any] = {"ename": filled, "evalue": text, "traceback": texts}
"""What every error has, in a reply and on IOPub."""

REPLIES: Mapping[str, Mapping[str, Any]] = {
    "execute_reply": {
        "execution_count": count,
        "payload": Optional(payloads),
        "user_expressions": Optional(expressions),
    },
    "inspect_reply": {"found": flag, "data": maybe_bundle, "metadata": table},
    "complete_reply": {"matches": texts, "cursor_start": count, "cursor_end": count, "metadata": table},
    "history_reply": {"history": history},
    "comm_info_reply": {"comms": table},
    "kernel_info_reply": {
        "protocol_version": version,
        "implementation": filled,
        "implementation_version": filled,
        "language_info": language,
        "banner": text,
        "debugger": Optional(flag),
        "supported_features": Optional(texts),
        "help_links": Optional(links),
    },
    "shutdown_reply": {"restart": flag},
    "interrupt_reply": {},
}
"""What a reply has whose status is ok."""

BROADCASTS: Mapping[str, Mapping[str, Any]] = {
    "status": {"execution_state": one_of("busy", "idle", "starting")},
    "execute_input": {"code": text, "execution_count": count},
    "stream": {"name": one_of("stdout", "stderr"), "text": text},
    "execute_result": {"execution_count": count, "data": bundle, "metadata": table},
    "display_data": {"data": bundle, "metadata": table, "transient": Optional(table)},
    "update_display_data": {"data": bundle, "metadata": table, "transient": lambda value: filled(value["display_id"])},
    "clear_output": {"wait": flag},
    "error": ERROR,
    "comm_close": {"comm_id": filled, "data": table},
    "iopub_welcome": {"subscription": text},
}
"""What comes on IOPub."""

QUESTION: Mapping[str, Any] = {"prompt": text, "password": flag}
HEADER: Mapping[str, Any] = {
    "msg_id": filled,
    "session": filled,
    "username": text,
    "date": lambda value: _is_date(value),
    "msg_type": filled,
    "version": version,
}


def _is_date(value: Any) -> bool:
    """ISO 8601 with the offset from UTC; jupyter_client has made a time of it already."""
    when = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return when.tzinfo is not None


def problems_of(given: Mapping[str, Any], fields: Mapping[str, Any]) -> list[str]:
    """What is missing or of another form."""
    found = []
    for name, wanted in fields.items():
        fits = wanted.fits if isinstance(wanted, Optional) else wanted
        if name not in given:
            if not isinstance(wanted, Optional):
                found.append(f"{name} is missing")
        elif not fits(given[name]):
            found.append(f"{name} is {given[name]!r}")
    return found


def problems_of_reply(msg_type: str, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with a reply's content, by its status."""
    status = content.get("status")
    if msg_type == "is_complete_reply" and status in ("complete", "incomplete", "invalid", "unknown"):
        return problems_of(content, {"indent": text}) if status == "incomplete" else []
    if status == "ok":
        return problems_of(content, REPLIES[msg_type])
    if status == "error":
        counted = {"execution_count": count} if msg_type == "execute_reply" and "execution_count" in content else {}
        return problems_of(content, {**ERROR, **counted})
    return [] if status == "aborted" else [f"status is {status!r}"]


@dataclass(frozen=True)
class Asked:
    """A request and everything that came of it."""

    request: Json
    replies: list[Json] = field(default_factory=list)
    published: list[Json] = field(default_factory=list)
    questions: list[Json] = field(default_factory=list)

    @property
    def reply(self) -> Json:
        """The one reply's content."""
        (only,) = self.replies
        content: Json = only["content"]
        return content

    @property
    def kinds(self) -> list[str]:
        """The types that were published, a state for a status.

        Busy stands there once: a cell that goes on may be told busy again when something beside it has ended.
        """
        told = [
            one["content"]["execution_state"] if one["msg_type"] == "status" else one["msg_type"]
            for one in self.published
        ]
        return [kind for at, kind in enumerate(told) if kind != "busy" or kind not in told[:at]]

    def of(self, msg_type: str) -> list[Json]:
        """The contents of one type that were published."""
        return [one["content"] for one in self.published if one["msg_type"] == msg_type]


class AllChannels:
    """One client on raw sockets, which keeps every message that comes, and checks each against the specification."""

    def __init__(self, info: Mapping[str, Any], packer: str) -> None:
        key = bytes(info["key"])
        self.session = Session(key=key, packer=packer, unpacker=packer)
        self._of_iopub = Session(key=key, packer="json", unpacker="json")
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        identity = self.session.bsession
        for name, kind in (("shell", zmq.DEALER), ("control", zmq.DEALER), ("stdin", zmq.DEALER), ("iopub", zmq.SUB)):
            connected = self._context.socket(kind)
            if kind == zmq.DEALER:
                connected.setsockopt(zmq.IDENTITY, identity)
            else:
                connected.setsockopt(zmq.SUBSCRIBE, b"")
            connected.linger = 0
            connected.connect(f"tcp://{info['ip']}:{info[f'{name}_port']}")
            self._sockets[name] = connected
        self.received: list[tuple[str, Json]] = []
        """(channel, message) in the order in which they came."""
        self.kernel_sessions: set[str] = set()
        self._ids: set[str] = set()

    def welcomed(self) -> None:
        """Waits until what is published from here on will come."""
        self._take(lambda: any(message["msg_type"] == "iopub_welcome" for _, message in self.received))

    def close(self) -> None:
        """Leaves."""
        self._context.destroy(linger=0)

    def send(
        self,
        channel: str,
        msg_type: str,
        content: Any = None,
        *,
        parent: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        identities: Sequence[bytes] = (),
        without: Sequence[str] = (),
    ) -> Json:
        """Sends a request as it is given; `header` replaces fields and `without` leaves some out, `identities` stand
        before it as a relay's."""
        message = self.session.msg(msg_type, {} if content is None else content, parent=parent, metadata=metadata)
        message["header"] = {**message["header"], **(header or {})}
        for name in without:
            del message["header"][name]
        frames = self.session.serialize(message)
        self._sockets[channel].send_multipart([*identities, *frames])
        return message

    def answer(self, value: str, *, to: Json | None = None, **more: Any) -> None:
        """Sends an `input_reply`, to a question or to none."""
        self.send("stdin", "input_reply", {"value": value, **more}, parent=None if to is None else to["header"])

    def ask(
        self,
        channel: str,
        msg_type: str,
        content: Any = None,
        on_question: Callable[[Json], None] | None = None,
        **how: Any,
    ) -> Asked:
        """Sends a request and takes everything that comes of it, up to its reply and its idle."""
        return self.finish(self.send(channel, msg_type, content, **how), on_question)

    def finish(self, request: Json, on_question: Callable[[Json], None] | None = None) -> Asked:
        """Takes everything up to the reply and the idle of a request that was sent."""
        asked: set[str] = set()

        def is_over() -> bool:
            one = self.of(request)
            for question in one.questions:
                if on_question is not None and question["header"]["msg_id"] not in asked:
                    asked.add(question["header"]["msg_id"])
                    on_question(question)
            return bool(one.replies) and "idle" in one.kinds

        self._take(is_over)
        return self.of(request)

    def wait_for(self, request: Json, condition: Callable[[Asked], bool]) -> Asked:
        """Takes what comes until something that came of a request makes the condition true."""
        self._take(lambda: condition(self.of(request)))
        return self.of(request)

    def of(self, request: Json) -> Asked:
        """What has come of a request so far."""
        asked = Asked(request)
        for channel, message in self.received:
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                {"iopub": asked.published, "stdin": asked.questions}.get(channel, asked.replies).append(message)
        return asked

    def _take(self, is_over: Callable[[], bool]) -> None:
        poller = zmq.Poller()
        for connected in self._sockets.values():
            poller.register(connected, zmq.POLLIN)
        while not is_over():
            ready = dict(poller.poll(DEADLINE_S * 1000))
            assert ready, f"nothing came in time; so far: {self.received[-5:]}"
            for name, connected in self._sockets.items():
                if connected in ready:
                    self._receive(name, connected)

    def _receive(self, channel: str, connected: zmq.Socket[bytes]) -> None:
        session = self._of_iopub if channel == "iopub" else self.session
        identities, frames = session.feed_identities(connected.recv_multipart())
        message = session.deserialize(frames)
        message["identities"] = identities
        self._check(channel, message)
        self.received.append((channel, message))

    def _check(self, channel: str, message: Json) -> None:
        header, kind, content = message["header"], message["msg_type"], message["content"]
        assert problems_of(header, HEADER) == [], header
        assert header["msg_id"] not in self._ids, "an id twice"
        self._ids.add(header["msg_id"])
        self.kernel_sessions.add(header["session"])
        assert header["version"].startswith("5."), header
        assert isinstance(content, dict)
        assert isinstance(message["metadata"], dict)
        if channel == "iopub":
            assert kind in BROADCASTS, kind
            assert problems_of(content, BROADCASTS[kind]) == [], message
            assert len(message["identities"]) == 1, "one frame, the topic"
        elif channel == "stdin":
            assert kind == "input_request"
            assert problems_of(content, QUESTION) == [], message
        else:
            assert kind.endswith("_reply"), kind
            if kind in REPLIES or kind == "is_complete_reply":
                assert problems_of_reply(kind, content) == [], message


@contextmanager
def all_channels(info: Mapping[str, Any], packer: str) -> Iterator[AllChannels]:
    """A client of the kernel with this connection."""
    client = AllChannels(info, packer)
    try:
        client.welcomed()
        yield client
    finally:
        client.close()
