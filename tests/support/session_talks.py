"""A kernel that records, and a client that asks it: for tests of sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from llmspell_kernel.identity import Key
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
from tests.support.kernel_in_process import kernel_in_process

RECORDING: dict[str, Any] = {"runtime__sessions__enabled": True, "runtime__sessions__storage_backend": "sqlite"}
Content = dict[str, Any]


class Talk:
    """A client's requests, each with its reply's content."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def ask(self, msg_type: str, content: Content, **options: Any) -> Content:
        """One request; `options` are `metadata.llmspell`."""
        metadata = {"llmspell": options} if options else None
        return self.client.request(f"{msg_type}_request", content, metadata=metadata).result().content

    def session(self, action: str, **fields: Any) -> Content:
        """A `session_request`."""
        return self.ask("session", {"action": action, **fields})

    def artifact(self, action: str, **fields: Any) -> Content:
        """An `artifact_request`."""
        return self.ask("artifact", {"action": action, **fields})

    def chat(self, *texts: str, **options: Any) -> Content:
        """A turn: the texts are the messages of both sides, the user's first."""
        sides = ("user", "assistant")
        messages = [{"role": sides[at % 2], "content": text} for at, text in enumerate(texts)]
        return self.ask("model", {"action": "chat", "model": "mock/a", "messages": messages}, **options)

    def script(self, code: str, name: str = "test.lua", **options: Any) -> Content:
        """A script in a context of its own."""
        return self.ask("execute", {"code": code}, isolated=True, name=name, **options)

    def names(self, **fields: Any) -> list[str]:
        """The names of the sessions, the last used first."""
        return [one["name"] for one in self.session("list", **fields)["sessions"]]

    def steps(self, session: str) -> list[Content]:
        """The steps of a session."""
        return list(self.session("show", session=session)["steps"])


def with_client(info: ConnectionInfo, body: Callable[[Talk], Any], **options: Any) -> Any:
    """What `body` returns; the client is gone afterwards."""
    with Client(info, **options) as client:
        return body(Talk(client.connect(20)))


def talking(
    home: Path,
    *bodies: Callable[[Talk], Any],
    keys: tuple[Key, ...] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
    **settings: object,
) -> list[Any]:
    """What each of `bodies` returns, called with a client of its own, one after the other, at one kernel."""

    async def main() -> list[Any]:
        async with kernel_in_process(home, keys=keys, variables=variables, **settings) as kernel:
            return [await asyncio.to_thread(with_client, kernel.info, body) for body in bodies]

    return asyncio.run(main())


def talking_by_key(
    home: Path, *bodies: tuple[str | None, Callable[[Talk], Any]], keys: tuple[Key, ...], **settings: object
) -> list[Any]:
    """The same, each body with the key of this id; None: the connection's."""
    secret_of = {key.id: key.secret.decode() for key in keys}

    def call(info: ConnectionInfo, key_id: str | None, body: Callable[[Talk], Any]) -> Any:
        if key_id is None:
            return with_client(info, body)
        return with_client(info._replace(key=secret_of[key_id]), body, key_id=key_id)

    async def main() -> list[Any]:
        async with kernel_in_process(home, keys=keys, **settings) as kernel:
            return [await asyncio.to_thread(call, kernel.info, key_id, body) for key_id, body in bodies]

    return asyncio.run(main())
