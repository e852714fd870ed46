"""A reply that is still coming: its text piece by piece, and at the end the whole of it."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Generic

from llmspell.asynchronous.asking import AsyncAsking
from llmspell.hints import hints_shown
from llmspell.results import Result, result_of
from llmspell_protocol.client.aio import AsyncPending
from llmspell_protocol.client.events import Delta, Progress


class AsyncReply(Generic[Result]):
    """A reply under way: iterate for the pieces of its text.

    Iterating raises what the kernel answers instead of an end. Leaving it early cancels it: a `break` out of the loop
    over it, `close`, a `with` block that is left, Ctrl-C, or no reference to it any more.
    """

    def __init__(self, asking: AsyncAsking, pending: AsyncPending, kind: type[Result], about: str) -> None:
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

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                try:
                    piece = await anext(self)
                except StopAsyncIteration:
                    return
                yield piece
        finally:
            if self._result is None:
                self.close()

    async def __anext__(self) -> str:
        if self._is_closed or self._result is not None:
            raise StopAsyncIteration
        try:
            while (event := await anext(self._pending, None)) is not None:
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
                self._result = result_of(self._kind, await self._pending.result())
        except BaseException:
            self.close()
            raise
        raise StopAsyncIteration

    async def __aenter__(self) -> AsyncReply[Result]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # A collector of another thread must not touch the connection, which belongs to the one that made it.
        if getattr(self, "_thread", None) == threading.get_ident() and not self._asking.closed:
            self.close()

    async def result(self) -> Result:
        """Waits for the end and returns the whole reply: its text again, why it ended, tokens and times.

        Raises:
            LlmspellError: what the kernel answered; `Cancelled` where it was closed.
        """
        async for _piece in self:
            pass
        if self._result is None:
            with hints_shown():
                self._result = result_of(self._kind, await self._pending.result())
        return self._result

    def close(self) -> None:
        """Cancels the reply unless its end has come; what has come of it stays in `text`."""
        if not self._is_closed:
            self._is_closed = True
            self._following.close()
            self._pending.cancel()
