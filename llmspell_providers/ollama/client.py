"""Requests to one Ollama server: JSON there, JSON or lines of JSON back. A key of ollama.com stays there.

Our own in place of the official package's client: that one reads proxies and OLLAMA_HOST of the environment when it is
imported, whatever server is meant, and splits lines at characters that may stand in a text. Knows no replies.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx2

from llmspell_protocol.addresses import Address
from llmspell_providers.http.client import open_client, reply_limit
from llmspell_providers.http.fields import record
from llmspell_providers.http.limits import LIST_BYTES, STREAM_BYTES
from llmspell_providers.http.lines import NoJson, json_lines, parse_json
from llmspell_providers.http.sendable import demand_json

_KEY_S_HOST = "ollama.com"
_KEY_VARIABLE = "OLLAMA_API_KEY"
IN_STREAM = -1
"""The status of an error that came as a line of a stream without one."""


class Refused(Exception):
    """The server answered with an error: its text, and the status of the answer."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class OllamaClient:
    """A client for one server; belongs to one event loop.

    Methods raise `Refused`, ValueError for what Ollama doesn't answer, and `httpx2.HTTPError`.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._http = open_client(address)
        self.headers = {"Accept": "application/json", "Content-Type": "application/json"}
        key = os.environ.get(_KEY_VARIABLE)
        if key and address.scheme == "https" and address.host == _KEY_S_HOST:
            self.headers["Authorization"] = f"Bearer {key}"

    async def ask(
        self, path: str, body: Mapping[str, Any], *, method: str = "POST", limit_bytes: int = LIST_BYTES
    ) -> Mapping[str, Any]:
        """The object that answers a request; empty for an empty answer."""
        with reply_limit(limit_bytes):
            answer = await self._http.send(self._request(method, path, body))
        if not answer.is_success:
            raise _refused(answer.content, answer.status_code)
        return record(parse_json(answer.content), "the reply") if answer.content.strip() else {}

    async def lines(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Mapping[str, Any], None]:
        """The answer to a request for a stream, which is open when this returns; closing it stops the server."""
        with reply_limit(STREAM_BYTES):
            answer = await self._http.send(self._request("POST", path, {**body, "stream": True}), stream=True)
        if answer.is_success:
            return _objects(answer)
        try:
            content = await answer.aread()
        finally:
            await answer.aclose()
        raise _refused(content, answer.status_code)

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    def _request(self, method: str, path: str, body: Mapping[str, Any]) -> httpx2.Request:
        given = {name: value for name, value in body.items() if value is not None}
        demand_json(given)
        content = json.dumps(given).encode()
        return self._http.build_request(method, f"{self._address.url}{path}", content=content, headers=self.headers)


async def _objects(answer: httpx2.Response) -> AsyncGenerator[Mapping[str, Any], None]:
    try:
        async for content in json_lines(answer.aiter_raw()):
            line = record(content, "a line")
            if line.get("error"):
                status = line.get("status")
                raise Refused(_said(line), status if isinstance(status, int) and status >= 400 else IN_STREAM)
            yield line
    finally:
        await answer.aclose()


def _refused(content: bytes, status: int) -> Refused:
    try:
        told = parse_json(content)
    except NoJson:
        return Refused(content.decode("utf-8", "replace").strip(), status)
    return Refused(_said(told) if isinstance(told, dict) else str(told), status)


def _said(told: Mapping[str, Any]) -> str:
    """The text of an error, in Ollama's form or in OpenAI's."""
    error = told.get("error") or told.get("message") or told.get("detail") or ""
    if isinstance(error, Mapping):
        error = error.get("message") or error
    return str(error).strip()
