"""The official package's client with what it has no argument for: prompts stay whole, a key of ollama.com stays there.

Without `truncate: false` a server shortens prompts that are too long and answers as if nothing had happened. The
package itself sends OLLAMA_API_KEY of the environment to whichever server it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

import httpx
from ollama import AsyncClient

_PATHS = ("/api/chat", "/api/generate")
_KEY_S_HOST = "ollama.com"
_cuts = ContextVar("cuts", default=False)


class UncutClient(AsyncClient):
    """An `AsyncClient` whose chats and generations say that nothing may be left out."""

    def keep_key(self) -> None:
        """Sends no key of the environment."""
        self._client.headers.pop("Authorization", None)

    async def _request(self, cls: Any, *args: Any, stream: bool = False, **kwargs: Any) -> Any:
        if args[1] in _PATHS:
            kwargs["json"] = {**kwargs["json"], "truncate": _cuts.get(), "shift": False}
        return await super()._request(cls, *args, stream=stream, **kwargs)


@contextmanager
def may_cut(allowed: bool) -> Iterator[None]:
    """While inside, the requests of this task say whether a prompt that is too long may be cut."""
    token = _cuts.set(allowed)
    try:
        yield
    finally:
        _cuts.reset(token)


def uncut_client(base_url: str, *, connect_deadline_s: float) -> AsyncClient:
    """A client for one server; proxies of the environment are not for a daemon on one's own network."""
    timeout = httpx.Timeout(None, connect=connect_deadline_s)
    client = UncutClient(base_url, timeout=timeout, trust_env=False)
    address = urlsplit(base_url)
    if address.scheme != "https" or address.hostname != _KEY_S_HOST:
        client.keep_key()
    return client
