"""A small HTTP client for one server behind a socket file, with a key. Blocking, one connection a call."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import ModelError
from llmspell_providers.candle.generation import OnChunk

_TIMEOUT_S = 30.0
_OK = 200
_DATA = b"data: "
_END = b"[DONE]"


class SocketClient:
    """Asks a server; may be used from several threads at once."""

    def __init__(self, address: Path, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def get(self, path: str) -> Any:
        """The parsed answer to a GET."""
        with self._asked("GET", path, None) as answer:
            return _parsed(answer, path)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The parsed answer to a POST."""
        with self._asked("POST", path, body) as answer:
            return _parsed(answer, path)

    def status(self, path: str) -> int:
        """The status of the answer to a GET."""
        with self._asked("GET", path, None) as answer:
            return answer.status

    def compute(self, path: str, body: Mapping[str, Any]) -> Any:
        """The parsed answer to a POST that may take any time; an error's object where the server refuses it."""
        with self._asked("POST", path, body, timeout_s=None) as answer:
            return _parsed(answer, path) if answer.status == _OK else _refusal(answer, path)

    def stream(self, path: str, body: Mapping[str, Any], on_chunk: OnChunk) -> None:
        """Hands on the events of an answer until it ends or `on_chunk` wants no more, which hangs up.

        A refusal is handed on as one chunk with `error`.

        Raises:
            ConnectionError: the stream ended before its end.
        """
        with self._asked("POST", path, body, timeout_s=None) as answer:
            if answer.status != _OK:
                on_chunk(_refusal(answer, path))
                return
            for line in answer:
                if not line.endswith(b"\n"):
                    break  # cut in the middle
                if not line.startswith(_DATA):
                    continue  # blank, or a comment that keeps the connection open
                data = line[len(_DATA) :].strip()
                if data == _END or on_chunk(json.loads(data)):
                    return
        raise ConnectionError(f"the answer to {path} was cut")

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Mapping[str, Any] | None, *, timeout_s: float | None = _TIMEOUT_S
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _Connection(self._address, timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), self._headers)
            with connection.getresponse() as answer:
                yield answer
        finally:
            connection.close()


def _parsed(answer: http.client.HTTPResponse, path: str) -> Any:
    content = answer.read()
    if answer.status != _OK:
        raise _failure(answer, path, content)
    return json.loads(content)


def _refusal(answer: http.client.HTTPResponse, path: str) -> Mapping[str, Any]:
    content = answer.read()
    try:
        value = json.loads(content)
    except ValueError:
        raise _failure(answer, path, content) from None
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        return value
    raise _failure(answer, path, content)


def _failure(answer: http.client.HTTPResponse, path: str, content: bytes) -> ModelError:
    return ModelError(f"the engine answered {path} with {answer.status}: {content[:500].decode(errors='replace')}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Path, timeout_s: float | None) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))
