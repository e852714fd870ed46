"""Watched processes: from spawn to end, with the times of their stages in milliseconds."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.timeline.stages import Stage

PROBE = Path(__file__).with_name("probe.py")


class Row(NamedTuple):
    """One line of a timeline: when a stage is reached (ms, median), and what passed since the one before."""

    label: str
    at_ms: float
    since_ms: float


class Watched:
    """How one process is started so that it notes its stages; the files are gone with the context."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = stages
        self._directory = tempfile.TemporaryDirectory(prefix="llmspell-timeline-")
        self._marks = Path(self._directory.name) / "marks"
        self._points = Path(self._directory.name) / "points"
        self._points.write_text("".join(f"{stage.place} {stage.moment}\n" for stage in stages))

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._directory.cleanup()

    def command(self, what: str, words: Sequence[str]) -> list[str]:
        """The command line; `what` is `llmspell` or `kernel`."""
        return [sys.executable, str(PROBE), str(self._marks), str(self._points), what, *words]

    def marks(self) -> list[tuple[str, int]]:
        """Label and time (ns of the machine's clock) of all that a process that has ended went through."""
        found = []
        for line in self._marks.read_text().splitlines():
            number, when = map(int, line.split())
            found.append(("interpreter is up" if number < 0 else self._stages[number].label, when))
        return found


def command_times(words: Sequence[str], stages: Sequence[Stage], environment: Mapping[str, str]) -> dict[str, float]:
    """One run of `llmspell WORDS`: stage → milliseconds since the spawn, its end as `process has ended`."""
    with Watched(stages) as watched:
        command = watched.command("llmspell", words)
        spawned = time.monotonic_ns()
        subprocess.run(command, env=dict(environment), check=True, capture_output=True)
        ended = time.monotonic_ns()
        return since(spawned, [*watched.marks(), ("process has ended", ended)])


def since(start: int, marks: Iterable[tuple[str, int]]) -> dict[str, float]:
    """First time of each stage, in milliseconds after `start`."""
    times: dict[str, float] = {}
    for label, when in marks:
        times.setdefault(label, (when - start) / 1e6)
    return times


def timeline(runs: Sequence[Mapping[str, float]]) -> list[Row]:
    """Medians of the stages that most runs have reached, in the order in which they are reached."""
    labels = dict.fromkeys(label for run in runs for label in run)
    reached = [(label, [run[label] for run in runs if label in run]) for label in labels]
    medians = sorted((statistics.median(times), label) for label, times in reached if 2 * len(times) > len(runs))
    rows, before = [], 0.0
    for at, label in medians:
        rows.append(Row(label, at, at - before))
        before = at
    return rows
