"""Reading a long prompt in pieces, so that neither another stream nor a cancel waits for the whole of it.

llama.cpp computes a batch to its end before it looks at anything else, and a batch of prompt is a hundred times the
work of one token. So a long prompt is first sent as growing beginnings of itself, with nothing to generate; each fills
the slot's cache a little further, and the request itself finds its prompt read. A piece costs 1.3 ms beside the
engine's own work for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmspell_providers.candle.engine import EngineCancelled, Reply

PIECE_S = 0.06
"""How long one piece may take: a cancel waits for one, another stream's token too."""
SMALLEST_PIECE = 16
"""Tokens; below, each step reads the weights for too few of them."""
_FIRST_PIECE = 32


@dataclass(frozen=True, slots=True)
class PieceTimes:
    """What the engine says about one piece."""

    cached_tokens: int
    prefill_ms: float


@dataclass(frozen=True, slots=True)
class ReadAhead:
    """What has been read before the request itself is sent."""

    prompt_tokens: int
    cached_tokens: int
    prefill_ms: float


class PieceReader:
    """Reads prompts in pieces whose size follows the engine's speed; shared by all requests of one engine."""

    def __init__(self, largest: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._largest = largest
        self._clock = clock
        self._size = min(_FIRST_PIECE, largest)

    @property
    def size(self) -> int:
        """Tokens of the next piece."""
        return self._size

    def read(
        self,
        tokens: Sequence[int],
        known_tokens: int,
        send: Callable[[Sequence[int]], PieceTimes],
        reply: Reply,
    ) -> ReadAhead:
        """Has `send` read growing beginnings of `tokens` until less than a piece is left.

        `known_tokens` are taken to be in the cache: to send less than these would make the engine forget the rest.

        Raises:
            EngineCancelled: `reply.cancelled` became true between two pieces.
        """
        began = self._clock()
        cached = 0
        prefill_ms = 0.0
        at = min(known_tokens, len(tokens) - 1)
        is_first = True
        while len(tokens) - at > self._size:
            if reply.cancelled:
                raise EngineCancelled
            size = self._size
            at += size
            sent = self._clock()
            times = send(tokens[:at])
            if is_first:
                cached, is_first = times.cached_tokens, False
            else:
                # The first piece may find less in the cache than was thought, and says nothing about the speed.
                self._adapt(size, self._clock() - sent)
            prefill_ms += times.prefill_ms
            reply.progress(at, len(tokens), (self._clock() - began) * 1000)
        if reply.cancelled:
            raise EngineCancelled
        return ReadAhead(len(tokens), cached, prefill_ms)

    def _adapt(self, size: int, took_s: float) -> None:
        wanted = int(size * PIECE_S / took_s) if took_s > 0 else self._largest
        smallest = min(SMALLEST_PIECE, self._largest)
        self._size = max(smallest, min(wanted, 2 * size, self._largest))
