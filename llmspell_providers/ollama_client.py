"""The official package's client with two settings that it has no argument for: never cut a prompt, never shift it out.

Without `truncate: false` a server shortens prompts that are too long and answers as if nothing had happened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx
from ollama import AsyncClient

_PATHS = ("/api/chat", "/api/generate")
_cuts = ContextVar("cuts", default=False)


class UncutClient(AsyncClient):
    """An `AsyncClient` whose chats and generations say that nothing may be left out."""

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
    return UncutClient(base_url, timeout=timeout, trust_env=False)
