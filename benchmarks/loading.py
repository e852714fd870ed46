"""Rows about a model coming into memory, and a prompt that was read before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.kernel_process import MODEL
from benchmarks.prompts import SHORT, fresh_text
from benchmarks.raw_engine import RawEngine
from benchmarks.result import Result, Wanted, alone, compared
from benchmarks.stage import Stage
from benchmarks.talk import Job

REPEATED_PROMPT_TOKENS = 1000


def memory_estimate(stage: Stage) -> Iterator[Result]:
    """How far the estimate before the first load is from the memory that the worker then has."""
    kernel = stage.fresh_kernel()
    estimates: list[tuple[int, int]] = []

    def error_percent() -> float:
        kernel.ask("unload", force=True)
        kernel.ask("load", model=MODEL, keep_alive=-1)
        line = kernel.loaded()
        assert line is not None
        estimated, actual = int(line["estimated_bytes"]), int(line["memory_bytes"])
        estimates.append((estimated, actual))
        return 100 * abs(estimated / actual - 1)

    rounds = stage.referee.measure(error_percent)
    row = alone(
        "memory_estimate",
        rounds,
        what="estimate before a model's first load, off its actual memory by",
        unit="%",
        wanted=Wanted(bound=5, of="value"),
        details={
            "estimated_bytes": estimates[0][0],
            "actual_bytes": estimates[0][1],
            "later_loads_percent": rounds.a,
        },
    )
    # Later loads know what the first one took: the first is the honest one.
    yield replace(row, value=100 * abs(estimates[0][0] / estimates[0][1] - 1))


def cold_load(stage: Stage) -> Iterator[Result]:
    """First token of a request for a model that is not loaded."""
    kernel = stage.kernel
    job = Job(prompt=SHORT, max_tokens=2)

    def through_kernel() -> float:
        kernel.ask("unload", force=True)
        return kernel.talk([job])[0].first_token_s

    def directly() -> float:
        began = time.monotonic()
        engine = RawEngine(stage.engine_options)
        try:
            return engine.talk([job])[0].pieces[0] - began
        finally:
            engine.close()

    yield compared(
        "cold_load",
        stage.referee.compare(through_kernel, directly),
        what="request for a model that is not loaded → first token",
        baseline_what="a process that imports the engine, loads and answers",
        unit="s",
        wanted=Wanted(bound=1.3),
    )


def repeat_prompt(stage: Stage) -> Iterator[Result]:
    """First token of a prompt that was read before."""
    cold: list[float] = []

    def repeated() -> float:
        job = Job(prompt=fresh_text(REPEATED_PROMPT_TOKENS), max_tokens=2)
        cold.append(stage.kernel.talk([job])[0].first_token_s)
        return stage.kernel.talk([job])[0].first_token_s

    yield compared(
        "repeat_prompt",
        stage.referee.compare(repeated, lambda: cold[-1]),
        what=f"first token of a repeated prompt of {REPEATED_PROMPT_TOKENS} tokens",
        baseline_what="the same prompt cold",
        unit="s",
        wanted=Wanted(bound=0.2),
    )
