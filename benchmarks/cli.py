"""Rows about the command line: whole processes, against an interpreter that imports what every command needs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks.kernel_process import Home
from benchmarks.result import Result, Wanted, added, compared
from benchmarks.stage import Stage

RUNS_A_ROUND = 5
BASELINE = (sys.executable, "-c", "import click, zmq")
BASELINE_WHAT = 'python -c "import click, zmq"'


def cli_status(stage: Stage) -> Iterator[Result]:
    """`llmspell --connect … model status`."""
    kernel = stage.fresh_kernel()
    assert kernel.info.id is not None
    command = kernel.home.command("--connect", kernel.info.id, "model", "status")
    environment = kernel.home.environment
    yield compared(
        "cli_status",
        stage.referee.compare(lambda: _seconds(command, environment), lambda: _seconds(BASELINE, environment)),
        what=f"whole process, median of {RUNS_A_ROUND}",
        baseline_what=BASELINE_WHAT,
        unit="s",
        wanted=Wanted(bound=1.25),
    )


def script_start(stage: Stage) -> Iterator[Result]:
    """`llmspell run` of an empty script, embedded."""
    script = stage.home.directory / "empty.lua"
    script.write_text("")
    command, environment = stage.home.command("run", str(script)), stage.home.environment
    yield compared(
        "script_start",
        stage.referee.compare(lambda: _seconds(command, environment), lambda: _seconds(BASELINE, environment)),
        what=f"whole process, median of {RUNS_A_ROUND}",
        baseline_what=BASELINE_WHAT,
        unit="s",
        wanted=Wanted(bound=2.2),
    )


def connect_auto(stage: Stage) -> Iterator[Result]:
    """What looking for a kernel adds to a command: where none runs, and where one does."""
    kernel = stage.fresh_kernel()
    assert kernel.info.id is not None
    target = ("--connect", kernel.info.id)
    script = stage.home.directory / "empty.lua"
    script.write_text("")

    def ms(home: Home, *options: str) -> float:
        return 1000 * _seconds(home.command(*options, "run", str(script)), home.environment)

    yield added(
        "connect_auto_none",
        stage.referee.compare(lambda: ms(stage.home), lambda: ms(stage.home, "--embedded")),
        what=f"`llmspell run` of an empty script where no kernel runs, median of {RUNS_A_ROUND}, less --embedded",
        baseline_what="--embedded",
        unit="ms",
        wanted=Wanted(bound=1, of="value"),
    )
    yield added(
        "connect_auto",
        stage.referee.compare(lambda: ms(kernel.home), lambda: ms(kernel.home, *target)),
        what="the same where one runs, less --connect ID",
        baseline_what="--connect ID",
        unit="ms",
        wanted=Wanted(bound=5, of="value"),
    )


def _seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    return statistics.median(_one(command, environment) for _ in range(RUNS_A_ROUND))


def _one(command: Sequence[str], environment: dict[str, str]) -> float:
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.monotonic() - began
