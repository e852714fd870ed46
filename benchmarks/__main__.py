"""`python -m benchmarks [--only ROW,ROW] [--rounds N]`: measures, prints, writes benchmarks/results/."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks import agents, cli, contention, generation, kernel, loading, speculation, state, t5, tools, vectors
from benchmarks.bytecode import compile_packages
from benchmarks.machine import description
from benchmarks.result import Result, table, write
from benchmarks.stage import Stage

RESULTS = Path(__file__).parent / "results"

ROWS: Mapping[str, Callable[[Stage], Iterator[Result]]] = {
    "decode": generation.decode,
    "first_token_added": generation.first_token_added,
    "first_token_rested": generation.first_token_rested,
    "token_cost": generation.token_cost,
    "aggregate_4": generation.aggregate_4,
    "aggregate_vs_serial": generation.aggregate_vs_serial,
    "speculative_quote": speculation.speculative_quote,
    "speculative_free": speculation.speculative_free,
    "speculative_4": speculation.speculative_4,
    "victim_gap": contention.victim_gap,
    "busy_neighbour": contention.busy_neighbour,
    "cancel": contention.cancel,
    "memory_estimate": loading.memory_estimate,
    "cold_load": loading.cold_load,
    "repeat_prompt": loading.repeat_prompt,
    "cli_status": cli.cli_status,
    "script_start": cli.script_start,
    "connect_auto": cli.connect_auto,
    "kernel_ready": kernel.kernel_ready,
    "kernel_info_rtt": kernel.kernel_info_rtt,
    "execute_rtt": kernel.execute_rtt,
    "prints_10000": kernel.prints_10000,
    "complete_rtt": kernel.complete_rtt,
    "idle_rss": kernel.idle_rss,
    "idle_cpu": kernel.idle_cpu,
    "lua_call": kernel.lua_call,
    "agent_overhead": agents.agent_overhead,
    "tool_call": tools.tool_call,
    "state_set": state.state_set,
    "rag_search": vectors.rag_search,
    "t5_speed": t5.t5_speed,
    "t5_busy_neighbour": t5.t5_busy_neighbour,
    "t5_load": t5.t5_load,
}
"""In the order in which they run."""


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", help=f"rows, separated by commas: {', '.join(ROWS)}")
    parser.add_argument("--rounds", type=int, default=5, help="quiet rounds of each row (default 5)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where latest.json and latest.md go")
    arguments = parser.parse_args()
    names = arguments.only.split(",") if arguments.only else list(ROWS)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}")
    compile_packages()
    results: list[Result] = []
    for name in names:
        # Each row has kernels and engines of its own: what an earlier one left loaded would share the machine.
        with Stage(arguments.rounds) as stage:
            for result in ROWS[name](stage):
                results.append(result)
                print(table([result]).splitlines()[-1], file=sys.stderr, flush=True)
        write(results, description(), arguments.results)
    print(table(results), end="")


if __name__ == "__main__":
    main()
