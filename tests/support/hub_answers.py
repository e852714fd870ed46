"""One request to a `HubContents` over HTTP and how it is answered: small bodies at once, files by their manners."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import unquote

from tests.support.hub_contents import Asked, HubContents
from tests.support.hub_manners import Manner, Refusal

DEADLINE_S = 60


class ContentServer(ThreadingHTTPServer):
    """Serves some contents on a free port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, contents: HubContents, handler: type[Answer]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.contents = contents

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes in the middle of an answer is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def content_url(self) -> str:
        """The content network's address: the same server by another name, so that it counts as another host."""
        return self.url.replace("127.0.0.1", "localhost")


class Answer(BaseHTTPRequestHandler):
    """Reads requests, notes them and lets `route` answer; HEAD is GET without a body."""

    protocol_version = "HTTP/1.1"

    @property
    def place(self) -> ContentServer:
        """The server, with its addresses."""
        return cast("ContentServer", self.server)

    @property
    def contents(self) -> HubContents:
        """What is served."""
        return self.place.contents

    @property
    def token(self) -> str:
        """The request's bearer token; empty without one."""
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def route(self, path: str) -> None:
        """Answers a request for this path; a KeyError is a file that is not there."""
        raise NotImplementedError

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        headers = self.headers
        self.contents.asked.append(
            Asked(self.command, path, headers.get("Range"), headers.get("Authorization"), time.monotonic())
        )
        try:
            self.route(path)
        except KeyError:
            self.send(404, headers={"X-Error-Code": "EntryNotFound"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """A whole answer."""
        self.send_response(status)
        for key, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_endless(self, status: int, piece: bytes, headers: Mapping[str, str]) -> None:
        """An answer whose body is a piece again and again, until its reader has gone."""
        self.send_response(status)
        for key, value in {**headers, "Connection": "close"}.items():
            self.send_header(key, value)
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(piece)

    def refuse(self, refusal: Refusal) -> None:
        """An answer that gives nothing."""
        self.send(refusal.status, headers=refusal.headers)

    def send_file(self, data: bytes, name: str, headers: Mapping[str, str] | None = None) -> None:
        """A file, or the end of it that Range asks for, in the manner of its base name."""
        manner = self.contents.manners.get(name.rpartition("/")[2], Manner())
        if manner.refusals:
            self.refuse(manner.refusals.pop(0))
            return
        if manner.status is not None:
            self.send(manner.status)
            return
        tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        body = data if manner.body is None else manner.body
        start = 0 if manner.full_only else self._start(tag)
        if start >= len(body) > 0:
            self.send(416)
            return
        self.send_response(206 if start else 200)
        for key, value in {"ETag": tag, "Accept-Ranges": "bytes", **(headers or {})}.items():
            self.send_header(key, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if manner.no_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(body, start, manner)

    def _start(self, tag: str) -> int:
        """The first byte that Range asks for; 0 where If-Range names another file."""
        asked = self.headers.get("Range")
        if asked is None or self.headers.get("If-Range") not in (None, tag):
            return 0
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _send_body(self, body: bytes, start: int, manner: Manner) -> None:
        cut = next((place for place in sorted(manner.cut_at) if place > start), None)
        if cut is not None:
            manner.cut_at.remove(cut)
            self.wfile.write(body[start:cut])
            self.close_connection = True
            return
        if manner.silent_at is not None:
            self.wfile.write(body[start : manner.silent_at])
            self.wfile.flush()
            manner.release.wait(DEADLINE_S)
            self.close_connection = True
            return
        if manner.hold_at is not None and start < manner.hold_at and not manner.release.is_set():
            self.wfile.write(body[start : manner.hold_at])
            self.wfile.flush()
            manner.reached.set()
            manner.release.wait(DEADLINE_S)
            start = manner.hold_at
        self.wfile.write(body[start:])
