"""A model server on loopback that does what a test tells it to, right or wrong: the faults of real ones.

Every POST is answered by the next act, or by what a function makes of it, the last one again and again; GET answers
with the list of models. A chunk is one piece of the body as it is sent; what is asked for is kept.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal

HELD_S = 30


@dataclass(frozen=True)
class Act:
    """One answer. `then` is what comes after the last chunk: the end, a broken connection, or nothing at all."""

    chunks: Sequence[str] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"})
    then: Literal["end", "cut", "hang"] = "end"


@dataclass(frozen=True)
class Asked:
    """One request that came; the names of its headers are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


def failing(status: int, error: Any, **headers: str) -> Act:
    """An answer with an error in its body; `retry_after="1"` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act((json.dumps(error),), status, {"Content-Type": "application/json", **named})


def answering(content: Any) -> Act:
    """An answer with JSON."""
    return Act((json.dumps(content),), 200, {"Content-Type": "application/json"})


def chunk(delta: Mapping[str, Any] | None = None, finish: str | None = None, **fields: Any) -> str:
    """One event of OpenAI's stream."""
    choices = [] if delta is None and finish is None else [{"index": 0, "delta": delta or {}, "finish_reason": finish}]
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'choices': choices, **fields})}\n\n"


def said(*pieces: str, finish: str = "stop", usage: Mapping[str, Any] | None = None) -> Act:
    """A whole reply of OpenAI's kind."""
    counted = usage or {"prompt_tokens": 5, "completion_tokens": len(pieces), "total_tokens": 5 + len(pieces)}
    events = [chunk({"content": piece}) for piece in pieces]
    return Act([*events, chunk(finish=finish), chunk(usage=counted), "data: [DONE]\n\n"])


class ModelServer:
    """The server; a context manager. `port` may be one that was free a moment ago."""

    def __init__(
        self,
        *acts: Act | Callable[[Asked], Act],
        models: Sequence[str] = ("m",),
        listing: Act | None = None,
        port: int = 0,
    ) -> None:
        self.asked: list[Asked] = []
        self.held = threading.Event()
        self.closed_by_client = threading.Event()
        self._released = threading.Event()
        self._acts = list(acts)
        self._listing = listing or answering({"object": "list", "data": [{"id": one} for one in models]})
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                server._connections.add(self.connection)

            def do_GET(self) -> None:
                server._answer(self, server._listing)

            def do_POST(self) -> None:
                with server._lock:
                    act = server._acts[0] if len(server._acts) == 1 else server._acts.pop(0)
                server._answer(self, act)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def answers(self, *acts: Act | Callable[[Asked], Act]) -> None:
        """Has it answer so from now on."""
        with self._lock:
            self._acts = list(acts)

    @property
    def base_url(self) -> str:
        """Where its interface is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def posts(self) -> list[Asked]:
        """The requests to a model."""
        return [asked for asked in self.asked if asked.method == "POST"]

    def __enter__(self) -> ModelServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.die()

    def die(self) -> None:
        """Ends like a killed process: the socket is closed, and every connection is broken."""
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Lets held answers break off."""
        self._released.set()

    def _answer(self, handler: BaseHTTPRequestHandler, answer: Act | Callable[[Asked], Act]) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        asked = Asked(handler.command, handler.path, {k.lower(): v for k, v in handler.headers.items()}, body)
        self.asked.append(asked)
        act = answer(asked) if callable(answer) else answer
        handler.send_response_only(act.status)
        for name, value in act.headers.items():
            handler.send_header(name, value)
        http_1_0 = handler.request_version == "HTTP/1.0"
        if http_1_0:
            handler.close_connection = True
        else:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        try:
            for piece in act.chunks:
                data = piece.encode()
                handler.wfile.write(data if http_1_0 else b"%x\r\n%s\r\n" % (len(data), data))
                handler.wfile.flush()
            if act.then == "hang":
                self._hang(handler)
            if act.then != "end":
                handler.close_connection = True
            elif not http_1_0:
                handler.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.closed_by_client.set()
            handler.close_connection = True

    def _hang(self, handler: BaseHTTPRequestHandler) -> None:
        self.held.set()
        while not self._released.is_set():
            # Readable without a request: the client has hung up.
            readable, _, _ = select.select([handler.connection], [], [], 0.02)
            if readable:
                self.closed_by_client.set()
                return
