"""`python -m benchmarks.timeline [--runs N] [--only WORD] [--json]`: stages of commands, of a start, of requests."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.bytecode import compile_packages
from benchmarks.jupyter_peer import StartedKernel
from benchmarks.timeline.processes import Row, Watched, command_times, since, timeline
from benchmarks.timeline.requests import request_times, requests
from benchmarks.timeline.stages import COMMAND, KERNEL_START
from tests.support.kernels import KernelProcess

REQUESTS_A_RUN = 20


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.timeline", description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=11, help="how often each is run (default 11; requests 20 times that)"
    )
    parser.add_argument("--only", default="", help="timelines whose name contains this")
    parser.add_argument("--model", default="mock/bench", help="who answers the chat (default mock/bench)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    arguments = parser.parse_args()
    compile_packages()
    found: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="llmspell-timeline-") as directory:
        for name, runs in _measured(Path(directory), arguments.runs, arguments.only, arguments.model):
            found[name] = timeline(runs)
            if not arguments.json:
                print(_table(name, found[name]))
    if arguments.json:
        print(json.dumps({name: [row._asdict() for row in rows] for name, rows in found.items()}, indent=2))


Runs = Sequence[Mapping[str, float]]


def _measured(directory: Path, runs: int, only: str, model: str) -> Iterator[tuple[str, Runs]]:
    home = directory / "home"
    home.mkdir(mode=0o700)
    script = directory / "empty.lua"
    script.write_text("")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LLMSPELL_")}
    environment["LLMSPELL_HOME"] = str(home)

    def command(*words: str) -> Callable[[], dict[str, float]]:
        return lambda: command_times(words, COMMAND, environment)

    kernel = KernelProcess(cwd=directory, env=environment)
    try:
        one_run = {
            "connected `model status`": command("--connect", str(kernel.info.id), "model", "status"),
            "embedded `model status`": command("model", "status"),
            "embedded `run` of an empty script": command("run", str(script)),
            "start of a kernel to its first reply": lambda: _start_times(environment),
        }
        for name, once in one_run.items():
            if only in name:
                once()  # Compiles what was never run, and fills the disk's cache.
                yield name, [once() for _ in range(runs)]
    finally:
        kernel.stop()
    wanted = {name: send for name, send in requests(model).items() if only in name}
    yield from request_times(wanted, runs * REQUESTS_A_RUN, environment).items()


def _start_times(environment: Mapping[str, str]) -> dict[str, float]:
    with Watched(KERNEL_START) as watched:
        with closing(StartedKernel([*watched.command("kernel", []), "-f"], environment)) as kernel:
            spawned, answered = kernel.spawned_ns, kernel.spawned_ns + round(kernel.ready_s * 1e9)
        return since(spawned, [*watched.marks(), ("first reply received", answered)])


def _table(name: str, rows: Sequence[Row]) -> str:
    lines = [f"### {name}", "", "| at ms | + ms | reached |", "|---:|---:|---|"]
    lines += [f"| {row.at_ms:.2f} | {row.since_ms:.2f} | {row.label} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
