"""Rows about being disturbed: a busy neighbour, a long prompt beside a stream, a cancel."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.kernel_process import MeasuredKernel, send_chat
from benchmarks.prompts import STORY, fresh_text
from benchmarks.result import Result, Wanted, alone, compared
from benchmarks.rounds import percentile
from benchmarks.stage import Stage
from benchmarks.talk import Job, Speaker
from llmspell_protocol.client.events import Delta, Event, Progress
from llmspell_protocol.errors import Cancelled

LONG_PROMPT_TOKENS = 2700
VICTIM_TOKENS = 400
CANCELS_A_ROUND = 6
DECODE_TOKENS = 192


def busy_neighbour(stage: Stage) -> Iterator[Result]:
    """Decoding beside one process that keeps a core busy."""
    rounds = stage.referee.compare(lambda: _beside_a_neighbour(stage.kernel), lambda: _decoding(stage.kernel))
    yield compared(
        "busy_neighbour",
        rounds,
        what="one stream beside a process that keeps one core busy",
        baseline_what="the same alone",
        unit="tokens/s",
        wanted=Wanted(bound=0.45, at="least"),
    )


def victim_gap(stage: Stage) -> Iterator[Result]:
    """The longest gap in a running stream while another client's long prompt is read."""
    rounds = stage.referee.compare_cold(lambda: _gap_s(stage.kernel), lambda: _gap_s(stage.raw_default_batch))
    yield compared(
        "victim_gap",
        rounds,
        what=f"longest gap in a stream while {LONG_PROMPT_TOKENS} tokens of another client are read",
        baseline_what="the engine with its default batch sizes",
        unit="s",
        wanted=Wanted(bound=0.1),
    )


def cancel(stage: Stage) -> Iterator[Result]:
    """From sending a cancel to a free slot, while decoding and while reading a prompt."""
    decode_job = Job(prompt=STORY, max_tokens=VICTIM_TOKENS)
    for name, make_job, begun in (
        ("cancel_decode", lambda: decode_job, Delta),
        ("cancel_prefill", lambda: Job(prompt=fresh_text(LONG_PROMPT_TOKENS), max_tokens=8), Progress),
    ):
        samples: list[float] = []

        def worst_of_a_round(
            make_job: Callable[[], Job] = make_job, begun: type[Event] = begun, samples: list[float] = samples
        ) -> float:
            now = [_cancel_ms(stage.kernel, make_job(), begun) for _ in range(CANCELS_A_ROUND)]
            samples.extend(now)
            return max(now)

        rounds = stage.referee.measure(worst_of_a_round)
        row = alone(
            name,
            rounds,
            what=f"cancel sent → slot free, 95th percentile of {len(samples)}",
            unit="ms",
            wanted=Wanted(bound=100, of="value"),
            details={"p50_ms": percentile(samples, 0.5), "max_ms": max(samples)},
        )
        yield replace(row, value=percentile(samples, 0.95))


def _decoding(speaker: Speaker) -> float:
    (talk,) = speaker.talk([Job(prompt=STORY, max_tokens=DECODE_TOKENS)])
    return talk.tokens_per_second


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core busy meanwhile."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _beside_a_neighbour(speaker: Speaker) -> float:
    with neighbour():
        return _decoding(speaker)


def _gap_s(speaker: Speaker) -> float:
    victim = Job(prompt=STORY, max_tokens=VICTIM_TOKENS)
    intruder = Job(prompt=fresh_text(LONG_PROMPT_TOKENS), max_tokens=2, after_pieces=20)
    watched, intruding = speaker.talk([victim, intruder])
    if watched.end < intruding.pieces[0]:
        raise RuntimeError("the stream ended before the other client's prompt had been read")
    return watched.longest_gap_s


def _cancel_ms(kernel: MeasuredKernel, job: Job, begun: type[Event]) -> float:
    pending = send_chat(kernel.client, job)
    for event in pending:
        if isinstance(event, begun):
            break
    sent = time.monotonic()
    pending.cancel()
    while _busy_slots(kernel):
        pass
    free = time.monotonic()
    try:
        pending.result(10)
    except Cancelled:
        return 1000 * (free - sent)
    raise RuntimeError("the reply ended before it could be cancelled")


def _busy_slots(kernel: MeasuredKernel) -> int:
    loaded = kernel.loaded()
    assert loaded is not None
    return int(loaded["busy_slots"])
