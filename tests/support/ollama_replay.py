"""A server that answers as a real Ollama did: recorded exchanges, sent again byte for byte.

A request is answered by the recording with its method and path and, where several have these, its model and whether it
streams; the last one matching wins. What is asked for is kept, so that tests can look at it. A stream can be spoilt at
any of its chunks.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

RECORDING_HEADER = "X-Recording"
"""A request may name the recording that it wants."""

RECORDINGS = Path(__file__).parent.parent / "recordings" / "ollama"


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    body: Any


@dataclass(frozen=True)
class Fault:
    """What happens to a stream instead of chunk number `at`.

    cut: the connection is closed in the middle of the chunk; ended: the stream ends there as if it were whole;
    garbage: something that is not JSON; foreign: JSON of another kind; hang: nothing more, and no end.
    """

    kind: Literal["cut", "ended", "garbage", "foreign", "hang"]
    at: int


class OllamaReplay:
    """The server; a context manager. `hold_after` lets a stream stop after so many lines until `release` is called.

    It says which version it is unless it has no recordings at all. `fault` spoils every answer to a POST, or only the
    first `faults` ones. `choose` names the recording for the body of a
    chat. `in_turn`: several recordings for one request answer one after the other, the last for ever.
    """

    def __init__(
        self,
        *names: str,
        hold_after: int | None = None,
        fault: Fault | Callable[[Asked], Fault | None] | None = None,
        faults: int | None = None,
        in_turn: bool = False,
        choose: Callable[[Mapping[str, Any]], str] | None = None,
        port: int = 0,
    ) -> None:
        self.fault = fault
        self.faults_left = faults
        self._in_turn = in_turn
        self._choose = choose
        if names and "003-version" not in names:
            names = ("003-version", *names)
        self.asked: list[Asked] = []
        self.closed_by_client = threading.Event()
        self.held = threading.Event()
        self.hold_after = hold_after
        self._released = threading.Event()
        self._recordings = [json.loads((RECORDINGS / f"{name}.json").read_text()) for name in names]
        self._named = {one["name"]: one["response"] for one in self._recordings}
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                replay.answer(self)

            do_POST = do_DELETE = do_HEAD = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> OllamaReplay:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def release(self) -> None:
        """Lets held streams go on."""
        self._released.set()

    def replace(self, name: str, *lines: Any, status: int = 200) -> None:
        """Answers with these lines instead of what was recorded, for what no recorded server had."""
        data = "".join(json.dumps(line) + "\n" for line in lines)
        recording = next(one for one in self._recordings if one["name"] == name)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        changed = {"status": status, "headers": headers, "chunks": [{"data": data}]}
        recording["response"] = {**recording["response"], **changed}

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers one request with its recording, or as Ollama answers an unknown path."""
        length = int(handler.headers.get("Content-Length") or 0)
        text = handler.rfile.read(length)
        try:
            body = json.loads(text) if text else None
        except ValueError:
            body = text
        asked = Asked(handler.command, handler.path, body)
        self.asked.append(asked)
        named = handler.headers.get(RECORDING_HEADER)
        if self._choose is not None and handler.path == "/api/chat":
            named = self._choose(body)
        response = self._named[named] if named else self._find(handler.command, handler.path, body)
        chunked = response["headers"].get("Transfer-Encoding") == "chunked"
        handler.send_response_only(response["status"], response["reason"])
        for name, value in response["headers"].items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            fault = self._due(asked)
            for at, chunk in enumerate(response["chunks"]):
                if fault is not None and at == fault.at:
                    self._spoil(handler, fault.kind, chunk["data"].encode(), chunked)
                    return
                if at == self.hold_after:
                    self.held.set()
                    self._released.wait(30)
                data = chunk["data"].encode()
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
                handler.wfile.flush()
            if chunked:
                handler.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.closed_by_client.set()
            handler.close_connection = True

    @property
    def posted(self) -> list[Asked]:
        """What was asked with a body, lists and the like left out."""
        return [asked for asked in self.asked if asked.body is not None]

    def _due(self, asked: Asked) -> Fault | None:
        if self.fault is None or asked.method != "POST" or self.faults_left == 0:
            return None
        fault = self.fault(asked) if callable(self.fault) else self.fault
        if self.faults_left is not None:
            self.faults_left -= 1
        return fault

    def _spoil(self, handler: BaseHTTPRequestHandler, kind: str, data: bytes, chunked: bool) -> None:
        handler.close_connection = True
        head = b"%x\r\n" if chunked else b""
        if kind == "cut":
            handler.wfile.write((head % len(data) if chunked else b"") + data[: len(data) // 2])
        elif kind == "hang":
            self.held.set()
            self._released.wait(30)
        else:
            odd = {"ended": b"", "garbage": b"<html>\xff not JSON\n", "foreign": b"[1, 2, 3]\n"}[kind]
            if odd:
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(odd), odd))
            handler.wfile.write(b"0\r\n\r\n")

    def _find(self, method: str, path: str, body: Any) -> Mapping[str, Any]:
        fitting = [
            one for one in self._recordings if (one["request"]["method"], one["request"]["path"]) == (method, path)
        ]
        # A recorded JSON reply does not answer a request for text, nor a text one that only loads a model.
        fitting = [one for one in fitting if _kind(one["request"]["body_json"]) == _kind(body)] or fitting
        exact = [one for one in fitting if _same(one["request"]["body_json"], body)]
        if not fitting:
            return {
                "status": 404,
                "reason": "Not Found",
                "headers": {"Content-Type": "text/plain", "Content-Length": "18"},
                "chunks": [{"data": "404 page not found"}],
            }
        chosen = (exact or fitting)[0 if self._in_turn else -1]
        if self._in_turn and len(exact or fitting) > 1:
            self._recordings.remove(chosen)
        response: Mapping[str, Any] = chosen["response"]
        return response


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    """Many clients at once are part of some tests."""


def _kind(body: Any) -> tuple[bool, bool]:
    if not isinstance(body, dict):
        return False, False
    return bool(body.get("format")), bool(body.get("prompt") or body.get("messages"))


def _same(recorded: Any, body: Any) -> bool:
    if not isinstance(recorded, dict) or not isinstance(body, dict):
        return False
    return all(recorded.get(key) == body.get(key) for key in ("model", "stream"))
