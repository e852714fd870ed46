# Written from llmspell/asynchronous/reply.py by `make schemas`.
"""A reply that is still coming: its text piece by piece, and at the end the whole of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Generic

from llmspell.hints import hints_shown
from llmspell.results import Result, result_of
from llmspell.synchronous.asking import Asking
from llmspell_protocol.client.events import Delta, Progress
from llmspell_protocol.client.sync import Pending


class Reply(Generic[Result]):
    """A reply under way: iterate for the pieces of its text.

    Iterating raises what the kernel answers instead of an end. Leaving it early cancels it: a `break` out of the loop
    over it, `close`, a `with` block that is left, Ctrl-C, or no reference to it any more.
    """

    def __init__(self, asking: Asking, pending: Pending, kind: type[Result], about: str) -> None:
        self.text = ""
        """What has come so far."""
        self.reasoning = ""
        """What a thinking model has thought so far."""
        self._asking = asking
        self._pending = pending
        self._kind = kind
        self._following = asking.following(about)
        self._result: Result | None = None
        self._is_closed = False
        self._thread = threading.get_ident()

    def __iter__(self) -> Iterator[str]:
        try:
            while True:
                try:
                    piece = next(self)
                except StopIteration:
                    return
                yield piece
        finally:
            if self._result is None:
                self.close()

    def __next__(self) -> str:
        if self._is_closed or self._result is not None:
            raise StopIteration
        try:
            while (event := next(self._pending, None)) is not None:
                if isinstance(event, Progress):
                    self._following.show(event.content)
                elif isinstance(event, Delta):
                    self._following.close()
                    self.reasoning += event.content.get("reasoning", "")
                    text = event.content.get("text", "")
                    if text:
                        self.text += text
                        return str(text)
            self._following.close()
            with hints_shown():
                self._result = result_of(self._kind, self._pending.result())
        except BaseException:
            self.close()
            raise
        raise StopIteration

    def __enter__(self) -> Reply[Result]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A collector of another thread must not touch the connection, which belongs to the one that made it.
        if getattr(self, "_thread", None) == threading.get_ident() and not self._asking.closed:
            self.close()

    def result(self) -> Result:
        """Waits for the end and returns the whole reply: its text again, why it ended, tokens and times.

        Raises:
            LlmspellError: what the kernel answered; `Cancelled` where it was closed.
        """
        for _piece in self:
            pass
        if self._result is None:
            with hints_shown():
                self._result = result_of(self._kind, self._pending.result())
        return self._result

    def close(self) -> None:
        """Cancels the reply unless its end has come; what has come of it stays in `text`."""
        if not self._is_closed:
            self._is_closed = True
            self._following.close()
            self._pending.cancel()
