"""Which environment suits the engine: threads, spin count, batch size, prompt cache, each candidate measured.

`python -m benchmarks.environment [--rounds N]` prints the Markdown tables of docs/benchmarks.md. Only the engine is
measured, directly: these are choices about it. Every candidate is a process of its own; candidates take turns, round
by round, so that a machine that changes meanwhile changes for all.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from benchmarks.machine import CpuUse, resident_bytes
from benchmarks.prompts import STORY, fresh_text
from benchmarks.raw_engine import EngineOptions, RawEngine
from benchmarks.stage import Stage
from benchmarks.talk import Job

DECODE_TOKENS = 128
LONG_PROMPT_TOKENS = 2700
CACHED_PROMPT_TOKENS = 1000
PROMPTS_BETWEEN = 8
"""More than there are slots, so that a repeated prompt is found in the prompt cache or nowhere."""

Figures = Mapping[str, float]
"""Column heading → figure."""


def threads(stage: Stage, rounds: int) -> None:
    """How many threads compute."""
    base = stage.engine_options
    counts = sorted({1, base.threads, 2 * base.threads})
    candidates = {str(count): replace(base, threads=count) for count in counts}
    _table("Threads", "threads", candidates, _decoding_figures, rounds)


def spin_count(stage: Stage, rounds: int) -> None:
    """How long engine threads spin at a barrier."""
    counts = (0, 200, 1000, 2000, 20_000, None)
    candidates = {
        "not set" if count is None else str(count): replace(stage.engine_options, spin_count=count) for count in counts
    }
    _table("GOMP_SPINCOUNT", "spin count", candidates, _decoding_figures, rounds)


def batch_size(stage: Stage, rounds: int) -> None:
    """How many tokens of a prompt are read in one step."""
    sizes = (64, 128, 256, 512, None)
    candidates = {
        "engine's own" if size is None else str(size): replace(stage.engine_options, batch_size=size) for size in sizes
    }
    _table("n_batch = n_ubatch", "batch size", candidates, _reading_figures, rounds)


def prompt_cache(stage: Stage, rounds: int) -> None:
    """How much memory finished prompts may keep."""
    weights = stage.model_file.stat().st_size
    sizes = {"0": 0, "weights' size": weights, "8 GiB (engine's own)": 8 << 30}
    candidates = {name: replace(stage.engine_options, prompt_cache_bytes=size) for name, size in sizes.items()}
    _table("Prompt cache", "bytes", candidates, _cache_figures, rounds)


def _decoding_figures(engine: RawEngine) -> Figures:
    alone = _tokens_per_second(engine)
    with _neighbour():
        beside = _tokens_per_second(engine)
    return {"alone, tokens/s": alone, "beside a busy process, tokens/s": beside}


def _reading_figures(engine: RawEngine) -> Figures:
    job = Job(prompt=fresh_text(LONG_PROMPT_TOKENS), max_tokens=2)
    (reading,) = engine.talk([job])
    victim = Job(prompt=STORY, max_tokens=400)
    intruder = Job(prompt=fresh_text(LONG_PROMPT_TOKENS), max_tokens=2, after_pieces=20)
    watched, _ = engine.talk([victim, intruder])
    return {
        "reading, tokens/s": reading.prompt_tokens / reading.first_token_s,
        "longest gap in another stream, s": watched.longest_gap_s,
    }


def _cache_figures(engine: RawEngine) -> Figures:
    job = Job(prompt=fresh_text(CACHED_PROMPT_TOKENS), max_tokens=2)
    (cold,) = engine.talk([job])
    for _ in range(PROMPTS_BETWEEN):
        engine.talk([Job(prompt=fresh_text(CACHED_PROMPT_TOKENS), max_tokens=2)])
    (again,) = engine.talk([job])
    return {
        "first token cold, ms": 1000 * cold.first_token_s,
        f"again after {PROMPTS_BETWEEN} others, ms": 1000 * again.first_token_s,
        "resident memory, MB": resident_bytes(engine.pid) / 1e6,
    }


def _tokens_per_second(engine: RawEngine) -> float:
    (talk,) = engine.talk([Job(prompt=STORY, max_tokens=DECODE_TOKENS)])
    return talk.tokens_per_second


@contextmanager
def _neighbour() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _table(
    title: str,
    heading: str,
    candidates: Mapping[str, EngineOptions],
    measure: Callable[[RawEngine], Figures],
    rounds: int,
) -> None:
    engines = {name: RawEngine(options) for name, options in candidates.items()}
    figures: dict[str, list[Figures]] = {name: [] for name in candidates}
    foreign: list[float] = []
    try:
        for _ in range(rounds):
            before = CpuUse.now()
            for name, engine in engines.items():
                figures[name].append(measure(engine))
            foreign.append(CpuUse.now().foreign_share_since(before))
    finally:
        for engine in engines.values():
            engine.close()
    _print(title, heading, figures, max(foreign))


def _print(title: str, heading: str, figures: Mapping[str, Sequence[Figures]], foreign: float) -> None:
    columns = list(next(iter(figures.values()))[0])
    print(f"\n### {title}\n")
    print(f"| {' | '.join([heading, *columns])} |")
    print("|---" * (len(columns) + 1) + "|")
    for name, rounds in figures.items():
        medians = [statistics.median(one[column] for one in rounds) for column in columns]
        print(f"| {' | '.join([name, *(f'{median:.3g}' for median in medians)])} |")
    count = len(next(iter(figures.values())))
    print(f"\nMedians of {count} rounds; other processes had at most {foreign:.0%} of the machine.", flush=True)


QUESTIONS: Mapping[str, Callable[[Stage, int], None]] = {
    "threads": threads,
    "spin_count": spin_count,
    "batch_size": batch_size,
    "prompt_cache": prompt_cache,
}


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.environment", description=__doc__)
    parser.add_argument("--only", help=f"questions, separated by commas: {', '.join(QUESTIONS)}")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(QUESTIONS)
    if unknown := [name for name in names if name not in QUESTIONS]:
        parser.error(f"no such question: {', '.join(unknown)}")
    with Stage(arguments.rounds) as stage:
        for name in names:
            QUESTIONS[name](stage, arguments.rounds)


if __name__ == "__main__":
    main()
