"""Long prompts in pieces: order, size, what is left for the request itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from llmspell_providers.candle.engine import EngineCancelled
from llmspell_providers.candle.prompt_pieces import SMALLEST_PIECE, PieceReader, PieceTimes


class Listener:
    """A reply that remembers its progress, and is cancelled after some of it."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self._cancel_after = cancel_after

    @property
    def cancelled(self) -> bool:
        return self._cancel_after is not None and len(self.seen) >= self._cancel_after

    def text(self, piece: str) -> None: ...

    def reasoning(self, piece: str) -> None: ...

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None:
        self.seen.append((processed, total))


def reads(reader: PieceReader, tokens: int, known: int, listener: Listener) -> tuple[list[int], int]:
    """Lengths of the beginnings that were sent, and the tokens that were found in the cache."""
    sent: list[int] = []

    def send(beginning: Sequence[int]) -> PieceTimes:
        assert beginning == range(len(beginning))
        sent.append(len(beginning))
        return PieceTimes(cached_tokens=known, prefill_ms=1.0)

    ahead = reader.read(range(tokens), known, send, listener)
    assert ahead.prompt_tokens == tokens
    assert ahead.prefill_ms == len(sent)
    return sent, ahead.cached_tokens


def test_each_beginning_is_longer_than_the_one_before_and_a_last_piece_is_left() -> None:
    reader = PieceReader(256)
    listener = Listener()
    sent, cached = reads(reader, 2000, 0, listener)
    assert sent == sorted(set(sent))
    assert 0 < 2000 - sent[-1] <= reader.size
    assert cached == 0
    assert listener.seen == [(length, 2000) for length in sent]


def test_no_piece_is_larger_than_the_engines_batch() -> None:
    sent, _ = reads(PieceReader(40), 400, 0, Listener())
    assert max(after - before for before, after in zip([0, *sent], sent, strict=False)) <= 40


def test_pieces_begin_behind_what_the_cache_holds() -> None:
    sent, cached = reads(PieceReader(64), 500, 300, Listener())
    assert sent[0] > 300
    assert cached == 300


def test_a_prompt_that_is_almost_in_the_cache_is_not_read_ahead() -> None:
    sent, _ = reads(PieceReader(64), 500, 490, Listener())
    assert sent == []


def test_a_slow_engine_gets_small_pieces_but_not_smaller_than_it_can_use() -> None:
    seconds = itertools.count()
    reader = PieceReader(256, clock=lambda: next(seconds))
    reads(reader, 600, 0, Listener())
    assert reader.size == SMALLEST_PIECE


def test_a_cancelled_reply_reads_no_further() -> None:
    listener = Listener(cancel_after=2)
    with pytest.raises(EngineCancelled):
        reads(PieceReader(64), 5000, 0, listener)
    assert len(listener.seen) == 2
