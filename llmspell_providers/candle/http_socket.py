"""A small HTTP client for one server behind a socket file, with a key. Blocking, one connection a call."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import ModelError

_TIMEOUT_S = 30.0


class SocketClient:
    """Asks a server; may be used from several threads at once."""

    def __init__(self, address: Path, key: str) -> None:
        self._address = address
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def get(self, path: str) -> Any:
        """The parsed answer to a GET."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The parsed answer to a POST."""
        return self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        connection = _Connection(self._address)
        try:
            connection.request(method, path, body, self._headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise ModelError(
                f"the engine answered {path} with {answer.status}: {content[:500].decode(errors='replace')}"
            )
        return json.loads(content)


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Path) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._address = address

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._address))
