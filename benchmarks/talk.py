"""Replies under the clock: what is asked, when each piece came, and the figures that follow. Knows no engine.

All times are seconds of CLOCK_MONOTONIC, which processes of one machine share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Protocol

GREEDY: Mapping[str, Any] = {"temperature": 0.0, "top_k": 1, "repeat_penalty": 1.0, "seed": 1}
"""Both sides of a comparison say the same words."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One chat. `after_pieces` makes it wait until the first job of its group has brought that many pieces."""

    prompt: str
    max_tokens: int
    after_pieces: int = 0
    options: Mapping[str, Any] = field(default_factory=lambda: GREEDY)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation."""
        return [{"role": "user", "content": self.prompt}]

    def as_map(self) -> dict[str, Any]:
        """For a pipe."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Talk:
    """One finished reply; `pieces` are the times at which text came."""

    sent: float
    pieces: Sequence[float]
    end: float
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    @property
    def first_token_s(self) -> float:
        """From sending to the first text."""
        return self.pieces[0] - self.sent

    @property
    def tokens_per_second(self) -> float:
        """Decoding alone: the tokens after the first, over the time after the first."""
        return (self.completion_tokens - 1) / (self.end - self.pieces[0])

    @property
    def longest_gap_s(self) -> float:
        """The longest time without text between the first piece and the end."""
        times = [*self.pieces, self.end]
        return max(later - earlier for earlier, later in pairwise(times))


def together_tokens_per_second(talks: Sequence[Talk]) -> float:
    """Tokens of all replies over the time from the first sending to the last end."""
    begin, end = min(talk.sent for talk in talks), max(talk.end for talk in talks)
    return sum(talk.completion_tokens for talk in talks) / (end - begin)


class Speaker(Protocol):
    """Something that answers chats: a kernel behind its client, or an engine in a process of its own."""

    def talk(self, jobs: Sequence[Job]) -> list[Talk]:
        """Runs the jobs at the same time, each as a client of its own."""
