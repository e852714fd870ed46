# Written from llmspell/asynchronous/asking.py by `make schemas`.
"""One connection: requests out, replies back as their classes, progress to a display, a cancel where a wait is left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from llmspell.hints import hints_shown
from llmspell.progress import Following, MakeDisplay
from llmspell.requests import without_absent
from llmspell.results import Result, result_of
from llmspell_protocol.client.events import Event, Progress, Reply
from llmspell_protocol.client.interrupts import HeldInterrupts
from llmspell_protocol.client.sync import Client, OnInput, Pending
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.request_options import NO_OPTIONS, RequestOptions

_LATE_S = 2.0
"""The kernel counts a request's time itself; the client gives up only where the kernel doesn't answer any more."""


class Asking:
    """Asks one kernel; what all parts of a client share. `session` is where every request is recorded."""

    def __init__(self, client: Client, make_display: MakeDisplay | None, session: str | None) -> None:
        self.client = client
        self.closed = False
        self._thread = threading.get_ident()
        self._make_display = make_display
        self._session = session

    def send(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        options: RequestOptions = NO_OPTIONS,
        timeout_s: float | None = None,
        on_input: OnInput | None = None,
        output: bool = False,
    ) -> Pending:
        """Sends a request; what is None in its content is left out.

        Raises:
            InvalidRequest: the connection is closed, or belongs to another thread.
        """
        if self.closed:
            raise InvalidRequest("this connection is closed", hint="make a new one: with connect() as kernel: …")
        if threading.get_ident() != self._thread:
            raise InvalidRequest(
                "this connection belongs to the thread that made it", hint="call connect() in each thread"
            )
        asked = options._replace(session=self._session, timeout_s=timeout_s).metadata()
        pending: Pending | None = None
        try:
            # A Ctrl-C of this moment must not leave a request that no one could cancel.
            with hints_shown(), HeldInterrupts():
                pending = self.client.request(
                    msg_type,
                    {**without_absent(content), **({"allow_stdin": True} if on_input is not None else {})},
                    metadata={METADATA_KEY: asked} if asked else None,
                    timeout_s=timeout_s + _LATE_S if timeout_s is not None else None,
                    on_input=on_input,
                    output=output,
                )
        except BaseException:
            if pending is not None:
                pending.cancel()
            raise
        return pending

    def ask(
        self,
        kind: type[Result],
        msg_type: str,
        content: Mapping[str, Any],
        *,
        about: str = "",
        timeout_s: float | None = None,
        on_input: OnInput | None = None,
    ) -> Result:
        """The reply to a request; how far it is goes to a display, which says what it is `about`.

        Raises:
            LlmspellError: what the kernel answered, or the connection broke.
        """
        pending = self.send(msg_type, content, timeout_s=timeout_s, on_input=on_input)
        return result_of(kind, self.followed(pending, about))

    def followed(self, pending: Pending, about: str, on_event: Callable[[Event], object] | None = None) -> Reply:
        """The end of a request; a wait that is left (Ctrl-C, a task that is cancelled) cancels it. Raises as `ask`."""
        try:
            with hints_shown(), self.following(about) as following:
                for event in pending:
                    if isinstance(event, Progress):
                        following.show(event.content)
                    elif on_event is not None:
                        on_event(event)
                return pending.result()
        except BaseException:
            pending.cancel()
            raise

    def following(self, about: str) -> Following:
        """A display of one call."""
        return Following(self._make_display, about)
