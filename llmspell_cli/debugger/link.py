"""The kernel's debugger as a command asks it: requests of the Debug Adapter Protocol, answered one by one.

Knows requests, neither terminals nor what a user types.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from types import MappingProxyType
from typing import Any

from llmspell_cli.session import Content, Session
from llmspell_protocol.client.events import Delta
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.request_options import RequestOptions

ANSWER_S = 15.0
"""A script that computes looks for commands now and then; the kernel says earlier that it doesn't."""


class DebugLink:
    """A debugger; `run` is the msg_id of the isolated run that it is about, None the session's own context.

    What is evaluated has the permissions `allow`. `told` takes the events that come of a request itself; those of a run
    come with that.
    """

    def __init__(
        self,
        session: Session,
        run: str | None = None,
        allow: Mapping[str, Sequence[str]] = MappingProxyType({}),
        told: Callable[[Content], None] = lambda _: None,
    ) -> None:
        self._session = session
        options = RequestOptions(debugs=run, deltas=True, allow=dict(allow) or None)
        self._metadata = {METADATA_KEY: options.metadata()}
        self._told = told
        self._numbers = count(1)

    def start(self) -> None:
        """Begins debugging: what runs may stop from here on."""
        self.ask("initialize", clientID="llmspell", adapterID="llmspell")
        self.ask("attach")

    def ask(self, command: str, /, **arguments: Any) -> Content:
        """The body of the response.

        Raises:
            InvalidRequest: the debugger says no.
            LlmspellError: the kernel does.
        """
        content = {
            "type": "request",
            "seq": next(self._numbers),
            "command": command,
            "arguments": {name: value for name, value in arguments.items() if value is not None},
        }
        # On shell, behind which comes what the script has printed before.
        pending = self._session.client.request("debug_request", content, metadata=self._metadata, timeout_s=ANSWER_S)
        for event in pending:
            if isinstance(event, Delta) and (told := event.content.get("debug")) is not None:
                self._told(told)
        response = pending.result().content
        if not response.get("success"):
            raise InvalidRequest(str(response.get("message", "the debugger refused")))
        body: Content = response.get("body") or {}
        return body
