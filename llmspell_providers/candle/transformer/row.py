"""One request on its way through a generation: its tokens become text, and something ends it. Knows no PyTorch.

The thread that generates calls `read`, `take` and the endings; the request's own thread waits in `wait`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from llmspell_protocol.models import FinishReason
from llmspell_providers.candle.engine import EngineCancelled, Outcome, Reply
from llmspell_providers.candle.stops import StopFilter
from llmspell_providers.candle.transformer.settings import Settings


class Decode(Protocol):
    """Makes text of the tokens of one reply, one by one."""

    def __call__(self, token: int, /) -> str | None:
        """The text that one more token adds, None while it is only part of a character."""

    def end(self) -> str:
        """What the last tokens leave of a character that never became whole: U+FFFD; empty where it did."""


class Row:
    """A prompt, what has been written after it, and where the pieces go."""

    def __init__(
        self,
        prompt: Sequence[int],
        settings: Settings,
        reply: Reply,
        *,
        decode: Decode,
        end_tokens: AbstractSet[int],
        stops: Sequence[str],
        limit: int,
        limit_reason: FinishReason,
    ) -> None:
        self.prompt = prompt
        self.settings = settings
        self.limit = limit
        self.count = 0
        self.is_done = False
        self._reply = reply
        self._decode = decode
        self._end_tokens = end_tokens
        self._stops = StopFilter(stops)
        self._limit_reason: FinishReason = limit_reason
        self._text: list[str] = []
        self._began = self._read = time.monotonic()
        self._ended = threading.Event()
        self._outcome: Outcome | None = None
        self._failure: Exception | None = None

    @property
    def left(self) -> int:
        """Tokens that may still be written."""
        return self.limit - self.count

    def agrees_with(self, other: Row) -> bool:
        """Whether both can be generated together; beams all have to end at one length."""
        is_alike = self.settings == other.settings and self.settings.is_shared
        return is_alike and (self.settings.num_beams == 1 or self.limit == other.limit)

    def begin(self) -> None:
        """The reading of the prompt begins."""
        self._began = time.monotonic()
        self._reply.progress(0, len(self.prompt), 0.0)

    def read(self, processed: int) -> None:
        """So many tokens of the prompt have been read."""
        self._read = time.monotonic()
        self._reply.progress(processed, len(self.prompt), (self._read - self._began) * 1000)

    def is_cancelled(self) -> bool:
        """Whether its reply is not wanted any more; such a row is over."""
        if not self.is_done and self._reply.cancelled:
            self.fail(EngineCancelled())
        return self.is_done

    def take(self, token: int) -> None:
        """The next token."""
        if self.is_cancelled():
            return
        self.count += 1
        if token in self._end_tokens:
            self._finish("stop")
            return
        self._show(self._stops.feed(self._decode(token) or ""))
        if self._stops.stopped:
            self._finish("stop")
        elif self.count >= self.limit:
            self._finish(self._limit_reason)

    def fail(self, error: Exception) -> None:
        """Ends it with an error."""
        if not self.is_done:
            self._failure = error
            self._end()

    def wait(self) -> Outcome:
        """The end, when it has come.

        Raises:
            EngineCancelled: the reply is not wanted any more.
        """
        self._ended.wait()
        if self._failure is not None:
            raise self._failure
        assert self._outcome is not None
        return self._outcome

    def _show(self, piece: str) -> None:
        if piece:
            self._text.append(piece)
            self._reply.text(piece)

    def _finish(self, reason: FinishReason) -> None:
        if not self._stops.stopped:
            self._show(self._stops.feed(self._decode.end()))
            self._show(self._stops.rest())
        now = time.monotonic()
        self._outcome = Outcome(
            text="".join(self._text),
            finish_reason=reason,
            prompt_tokens=len(self.prompt),
            completion_tokens=self.count,
            prefill_ms=(self._read - self._began) * 1000,
            decode_ms=(now - self._read) * 1000,
        )
        self._end()

    def _end(self) -> None:
        self.is_done = True
        self._ended.set()
