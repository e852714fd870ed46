"""Rows about the kernel itself, without a model: start, round trips, memory, idleness, calls from scripts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial

from benchmarks.jupyter_peer import IPYKERNEL, LLMSPELL, StartedKernel
from benchmarks.kernel_process import MODEL
from benchmarks.machine import cpu_seconds, resident_bytes
from benchmarks.result import Result, Wanted, alone, compared
from benchmarks.rounds import percentile
from benchmarks.stage import Stage

KERNEL_INFOS_A_ROUND = 300
EXECUTES_A_ROUND = 100
COMPLETES_A_ROUND = 50
IDLE_S = 10.0
SETTLE_S = 2.0
LUA_CALLS = 2000
PRINTS = 10_000


def kernel_ready(stage: Stage) -> Iterator[Result]:
    """From spawn to the first kernel_info_reply."""

    def ready_s(command: Sequence[str], environment: Mapping[str, str]) -> float:
        with closing(StartedKernel(command, environment)) as kernel:
            return kernel.ready_s

    yield compared(
        "kernel_ready",
        stage.referee.compare(
            lambda: ready_s(LLMSPELL, stage.home.environment), lambda: ready_s(IPYKERNEL, os.environ)
        ),
        what="spawn → kernel_info reply",
        baseline_what="ipykernel",
        unit="s",
        wanted=Wanted(bound=0.55),
    )


def idle_rss(stage: Stage) -> Iterator[Result]:
    """The memory of a kernel that has only been started."""
    with _both(stage) as (ours, theirs):
        yield compared(
            "idle_rss",
            stage.referee.compare_cold(partial(_megabytes, ours.pid), partial(_megabytes, theirs.pid)),
            what="resident memory of a kernel after its start, no model, no script",
            baseline_what="ipykernel",
            unit="MB",
            wanted=Wanted(bound=0.8),
        )


def kernel_info_rtt(stage: Stage) -> Iterator[Result]:
    """kernel_info over tcp."""
    with _both(stage) as (ours, theirs):
        for name, share in (("kernel_info_rtt_p50", 0.5), ("kernel_info_rtt_p99", 0.99)):
            yield compared(
                name,
                stage.referee.compare(
                    partial(_times_ms, ours.kernel_info, KERNEL_INFOS_A_ROUND, share),
                    partial(_times_ms, theirs.kernel_info, KERNEL_INFOS_A_ROUND, share),
                ),
                what=f"kernel_info over tcp, of {KERNEL_INFOS_A_ROUND}",
                baseline_what="ipykernel",
                unit="ms",
                wanted=Wanted(bound=0.4),
            )


def execute_rtt(stage: Stage) -> Iterator[Result]:
    """A cell, from sending to its idle."""
    with _both(stage) as (ours, theirs):
        yield compared(
            "execute_rtt",
            stage.referee.compare(
                partial(_times_ms, partial(ours.execute, "return 1"), EXECUTES_A_ROUND, 0.5),
                partial(_times_ms, partial(theirs.execute, "1"), EXECUTES_A_ROUND, 0.5),
            ),
            what=f"`return 1` → idle, median of {EXECUTES_A_ROUND}",
            baseline_what="ipykernel, `1`",
            unit="ms",
            wanted=Wanted(bound=0.25),
        )


def prints_10000(stage: Stage) -> Iterator[Result]:
    """Many prints of a cell, until the client has them all."""
    lines = sum(len(f"line {number}\n") for number in range(1, PRINTS + 1))

    def printed_ms(kernel: StartedKernel, code: str) -> float:
        ms = 1000 * kernel.execute(code)
        assert kernel.printed == lines, f"{kernel.printed} of {lines} characters arrived"
        return ms

    with _both(stage) as (ours, theirs):
        yield compared(
            "prints_10000",
            stage.referee.compare(
                partial(printed_ms, ours, f"for i = 1, {PRINTS} do print('line ' .. i) end"),
                partial(printed_ms, theirs, f"for i in range(1, {PRINTS + 1}): print(f'line {{i}}')"),
            ),
            what=f"{PRINTS} prints in a cell → its idle",
            baseline_what="ipykernel",
            unit="ms",
            wanted=Wanted(bound=0.5),
        )


def complete_rtt(stage: Stage) -> Iterator[Result]:
    """What Tab waits for: the fields of a library."""
    with _both(stage) as (ours, theirs):
        # The first one reads what the others have: the descriptions here, Jedi there.
        ours.complete("string.")
        theirs.complete("str.")
        yield compared(
            "complete_rtt",
            stage.referee.compare(
                partial(_times_ms, partial(ours.complete, "string."), COMPLETES_A_ROUND, 0.5),
                partial(_times_ms, partial(theirs.complete, "str."), COMPLETES_A_ROUND, 0.5),
            ),
            what=f"`string.` → candidates, median of {COMPLETES_A_ROUND}",
            baseline_what="ipykernel, `str.`",
            unit="ms",
            wanted=Wanted(bound=0.5),
        )


def idle_cpu(stage: Stage) -> Iterator[Result]:
    """CPU use of a kernel without requests, without a model and with an idle one (its worker counted)."""
    kernel = stage.fresh_kernel()
    pids = [kernel.pid]
    for name, what in (("idle_cpu", "no model"), ("idle_cpu_model", "one idle model")):
        if name == "idle_cpu_model":
            kernel.ask("load", model=MODEL, keep_alive=-1)
            line = kernel.loaded()
            assert line is not None
            pids.append(line["pid"])
        time.sleep(SETTLE_S)
        yield alone(
            name,
            stage.referee.measure(lambda: _cpu_percent(pids)),
            what=f"CPU use of an idle kernel over {IDLE_S:g} s, {what}",
            unit="%",
            wanted=Wanted(bound=0.05, of="value"),
        )


def lua_call(stage: Stage) -> Iterator[Result]:
    """From Lua to a kernel service and back over the script worker's pipe."""
    kernel = stage.kernel

    def seconds(calls: int) -> float:
        code = (
            'local a = Agent.builder():type("basic"):name("bench"):build()\n'
            f"for _ = 1, {calls} do a:get_history() end\nreturn 1"
        )
        began = time.monotonic()
        kernel.execute(code)
        return time.monotonic() - began

    def call_us() -> float:
        return 1e6 * (seconds(LUA_CALLS) - seconds(0)) / LUA_CALLS

    yield alone(
        "lua_call",
        stage.referee.measure(call_us),
        what=f"agent:get_history() of an empty conversation, one of {LUA_CALLS}",
        unit="µs",
        wanted=Wanted(bound=130, of="value"),
    )


@contextmanager
def _both(stage: Stage) -> Iterator[tuple[StartedKernel, StartedKernel]]:
    """Our kernel and ipykernel."""
    with (
        closing(StartedKernel(LLMSPELL, stage.home.environment)) as ours,
        closing(StartedKernel(IPYKERNEL, os.environ)) as theirs,
    ):
        yield ours, theirs


def _megabytes(pid: int) -> float:
    return resident_bytes(pid) / 1e6


def _times_ms(measure: Callable[[], float], count: int, share: float) -> float:
    return 1000 * percentile([measure() for _ in range(count)], share)


def _cpu_percent(pids: Sequence[int]) -> float:
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    time.sleep(IDLE_S)
    return 100 * (sum(map(cpu_seconds, pids)) - before) / (time.monotonic() - began)
