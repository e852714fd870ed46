"""A server that answers as a real Ollama did: recorded exchanges, sent again byte for byte.

A request is answered by the recording with its method and path and, where several have these, its model and whether it
streams; the last one matching wins. What is asked for is kept, so that tests can look at it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent.parent / "recordings" / "ollama"


@dataclass(frozen=True)
class Asked:
    """One request that came."""

    method: str
    path: str
    body: Any


class OllamaReplay:
    """The server; a context manager. `hold_after` lets a stream stop after so many lines until `release` is called."""

    def __init__(self, *names: str, hold_after: int | None = None) -> None:
        self.asked: list[Asked] = []
        self.closed_by_client = threading.Event()
        self.held = threading.Event()
        self.hold_after = hold_after
        self._released = threading.Event()
        self._recordings = [json.loads((RECORDINGS / f"{name}.json").read_text()) for name in names]
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                replay.answer(self)

            do_POST = do_DELETE = do_GET

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: a test's output is its own."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
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

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answers one request with its recording, or as Ollama answers an unknown path."""
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        self.asked.append(Asked(handler.command, handler.path, body))
        response = self._find(handler.command, handler.path, body)
        chunked = response["headers"].get("Transfer-Encoding") == "chunked"
        handler.send_response_only(response["status"], response["reason"])
        for name, value in response["headers"].items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            for at, chunk in enumerate(response["chunks"]):
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

    def _find(self, method: str, path: str, body: Any) -> Mapping[str, Any]:
        fitting = [
            one for one in self._recordings if (one["request"]["method"], one["request"]["path"]) == (method, path)
        ]
        exact = [one for one in fitting if _same(one["request"]["body_json"], body)]
        if not fitting:
            return {
                "status": 404,
                "reason": "Not Found",
                "headers": {"Content-Type": "text/plain", "Content-Length": "18"},
                "chunks": [{"data": "404 page not found"}],
            }
        response: Mapping[str, Any] = (exact or fitting)[-1]["response"]
        return response


def _same(recorded: Any, body: Any) -> bool:
    if not isinstance(recorded, dict) or not isinstance(body, dict):
        return False
    return all(recorded.get(key) == body.get(key) for key in ("model", "stream"))
