"""Rows about drafts from the conversation: a reply that repeats its prompt, one that does not, four at once.

Each round asks something new: a model that has given the same reply before drafts it from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.prompts import new_question, passage
from benchmarks.result import Result, Wanted, compared
from benchmarks.stage import Stage
from benchmarks.talk import Job, Speaker, Talk, together_tokens_per_second

WITHOUT = "the same without speculation"
REPEATED_TOKENS = 128
FREE_TOKENS = 192
TOGETHER_TOKENS = 96


def speculative_quote(stage: Stage) -> Iterator[Result]:
    """A reply that repeats a text of the prompt."""
    yield _row(
        stage,
        "speculative_quote",
        what="decoding a reply that repeats a text of the prompt, through the kernel",
        jobs=lambda number: [Job(prompt=passage(number), max_tokens=REPEATED_TOKENS)],
        speed=lambda talks: talks[0].tokens_per_second,
        wanted=1.4,
    )


def speculative_free(stage: Stage) -> Iterator[Result]:
    """A reply of new text."""
    yield _row(
        stage,
        "speculative_free",
        what=f"decoding {FREE_TOKENS} tokens of new text, through the kernel",
        jobs=lambda number: [Job(prompt=new_question(number), max_tokens=FREE_TOKENS)],
        speed=lambda talks: talks[0].tokens_per_second,
        wanted=0.98,
    )


def speculative_4(stage: Stage) -> Iterator[Result]:
    """Four replies of new text at once."""
    yield _row(
        stage,
        "speculative_4",
        what=f"four clients at once, {TOGETHER_TOKENS} tokens of new text each",
        jobs=lambda number: [Job(prompt=new_question(4 * number + at), max_tokens=TOGETHER_TOKENS) for at in range(4)],
        speed=together_tokens_per_second,
        wanted=0.98,
    )


def _row(
    stage: Stage,
    name: str,
    *,
    what: str,
    jobs: Callable[[int], Sequence[Job]],
    speed: Callable[[Sequence[Talk]], float],
    wanted: float,
) -> Result:
    def measure(speaker: Speaker) -> Callable[[], float]:
        number = 0

        def once() -> float:
            nonlocal number
            number += 1
            return speed(speaker.talk(jobs(number)))

        return once

    rounds = stage.referee.compare(measure(stage.speculating_kernel), measure(stage.kernel))
    return compared(
        name, rounds, what=what, baseline_what=WITHOUT, unit="tokens/s", wanted=Wanted(bound=wanted, at="least")
    )
