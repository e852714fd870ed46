"""Rows about one and several streams: how much of the engine's own speed reaches the client."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib.util import find_spec

from benchmarks.kernel_process import MeasuredKernel, chat
from benchmarks.prompts import QUESTIONS, SHORT, STORY
from benchmarks.result import Result, Wanted, added, alone, compared
from benchmarks.rounds import Rounds
from benchmarks.stage import MOCK_TOKENS, Stage
from benchmarks.talk import Job, Speaker, together_tokens_per_second
from llmspell_protocol.child import Child
from llmspell_protocol.frames import Frame

RAW = "the engine called directly in one process"
DECODE_TOKENS = 256
TOGETHER_TOKENS = 128
FIRST_TOKENS_A_ROUND = 12
REST_S = 0.3
RESTS_A_ROUND = 8
PIPE_TOKENS = 20_000


def decode(stage: Stage) -> Iterator[Result]:
    """Tokens a second of one streamed chat, with the window that the worker chooses and without any."""
    for name, kernel, wanted in (
        ("decode", stage.kernel, 0.98),
        ("decode_window_0", stage.kernel_without_window, 0.96),
    ):
        rounds = stage.referee.compare(partial(_decoding, kernel), partial(_decoding, stage.raw))
        yield compared(
            name,
            rounds,
            what=f"one stream of {DECODE_TOKENS} tokens through kernel and client",
            baseline_what=RAW,
            unit="tokens/s",
            wanted=Wanted(bound=wanted, at="least"),
            details={"added_us_a_token": _added_us(rounds)},
        )


def first_token_added(stage: Stage) -> Iterator[Result]:
    """What the way through kernel and client adds to the first token."""
    rounds = stage.referee.compare(lambda: _first_token_ms(stage.kernel), lambda: _first_token_ms(stage.raw))
    yield added(
        "first_token_added",
        rounds,
        what=f"first token of a cached prompt, median of {FIRST_TOKENS_A_ROUND}, less the engine's own",
        baseline_what=RAW,
        unit="ms",
        wanted=Wanted(bound=1.5, of="value"),
    )


def first_token_rested(stage: Stage) -> Iterator[Result]:
    """The same after a rest, in which caches cool down and threads go to sleep on both sides."""
    rounds = stage.referee.compare(lambda: _rested_ms(stage.kernel), lambda: _rested_ms(stage.raw))
    yield added(
        "first_token_rested",
        rounds,
        what=f"first token of a cached prompt after {REST_S} s of rest, median of {RESTS_A_ROUND}, less the engine's",
        baseline_what=f"{RAW}, after the same rest",
        unit="ms",
        wanted=Wanted(bound=4, of="value"),
    )


def token_cost(stage: Stage) -> Iterator[Result]:
    """What a streamed token costs when no engine limits it: the worker's pipe, then kernel and client."""
    pipe = [_pipe_us() for _ in range(stage.referee.count)]
    rounds = stage.referee.measure(lambda: _path_us(stage.mock_kernel))
    row = alone(
        "token_cost",
        rounds,
        what=f"a token at full speed: worker's pipe ({PIPE_TOKENS}) + kernel, socket, client ({MOCK_TOKENS})",
        unit="µs",
        wanted=Wanted(bound=50, of="value"),
        details={"pipe_us": statistics.median(pipe), "kernel_and_client_us": rounds.a},
    )
    yield replace(row, value=row.value + statistics.median(pipe))


def aggregate_4(stage: Stage) -> Iterator[Result]:
    """Four clients together."""
    rounds = stage.referee.compare(lambda: _together(stage.kernel), lambda: _together(stage.raw))
    yield compared(
        "aggregate_4",
        rounds,
        what=f"four clients at once, {TOGETHER_TOKENS} tokens each",
        baseline_what="the engine with four slots, called from four threads",
        unit="tokens/s",
        wanted=Wanted(bound=0.98, at="least"),
    )


def aggregate_vs_serial(stage: Stage) -> Iterator[Result]:
    """Four clients together against an engine that answers one after the other; nothing where that is missing."""
    if find_spec("llama_cpp") is None:
        return
    serial = stage.keep_raw(replace(stage.engine_options, engine="llama-cpp-python"))
    rounds = stage.referee.compare(lambda: _together(stage.kernel), lambda: _together(serial))
    yield compared(
        "aggregate_vs_serial",
        rounds,
        what=f"four clients at once, {TOGETHER_TOKENS} tokens each",
        baseline_what="llama-cpp-python, one after the other",
        unit="tokens/s",
        wanted=Wanted(bound=1.3, at="least"),
    )


def _decoding(speaker: Speaker) -> float:
    (talk,) = speaker.talk([Job(prompt=STORY, max_tokens=DECODE_TOKENS)])
    return talk.tokens_per_second


def _together(speaker: Speaker) -> float:
    jobs = [Job(prompt=question, max_tokens=TOGETHER_TOKENS) for question in QUESTIONS]
    return together_tokens_per_second(speaker.talk(jobs))


def _first_token_ms(speaker: Speaker) -> float:
    job = Job(prompt=SHORT, max_tokens=2)
    return 1000 * statistics.median(speaker.talk([job])[0].first_token_s for _ in range(FIRST_TOKENS_A_ROUND))


def _rested_ms(speaker: Speaker) -> float:
    job = Job(prompt=SHORT, max_tokens=2)
    times: list[float] = []
    for _ in range(RESTS_A_ROUND):
        time.sleep(REST_S)
        times.append(speaker.talk([job])[0].first_token_s)
    return 1000 * statistics.median(times)


def _added_us(rounds: Rounds) -> float:
    return statistics.median(1e6 / one.a - 1e6 / one.b for one in rounds.rounds if one.b)


def _path_us(kernel: MeasuredKernel) -> float:
    talk = chat(kernel.client, Job(prompt=SHORT, max_tokens=MOCK_TOKENS), model="mock/words")
    if len(talk.pieces) < MOCK_TOKENS * 0.9:
        raise RuntimeError(f"{MOCK_TOKENS} tokens came in {len(talk.pieces)} deltas: this is not the cost of one")
    return 1e6 * (talk.pieces[-1] - talk.pieces[0]) / (len(talk.pieces) - 1)


def _pipe_us() -> float:
    """Seconds from the first to the last frame of a worker that writes tokens as fast as it can, a token."""

    async def run() -> float:
        times: list[float] = []
        done = asyncio.get_running_loop().create_future()

        def on_frame(frame: Frame) -> None:
            times.append(time.monotonic())

        child = Child.spawn(
            "benchmarks.token_source",
            environment={},
            log_path=None,
            on_frame=on_frame,
            on_exit=done.set_result,
            arguments=(str(PIPE_TOKENS),),
        )
        await done
        await child.end()
        return 1e6 * (times[-1] - times[0]) / (len(times) - 1)

    return asyncio.run(run())
