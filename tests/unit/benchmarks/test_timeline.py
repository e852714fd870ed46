"""The timelines' points exist, and what is noted at them becomes a table."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from benchmarks.timeline.probe import Marks, Watch
from benchmarks.timeline.processes import since, timeline
from benchmarks.timeline.stages import COMMAND, KERNEL_START, REQUEST_AT_CLIENT, REQUEST_AT_KERNEL, Stage

STAGES = dict.fromkeys((*COMMAND, *KERNEL_START, *REQUEST_AT_CLIENT, *REQUEST_AT_KERNEL))


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: f"{stage.place} {stage.moment}")
def test_every_point_is_there(stage: Stage) -> None:
    module, _, attribute = stage.place.partition(":")
    found: Any = import_module(module)
    for name in filter(None, attribute.split(".")):
        found = getattr(found, name)
    assert stage.moment in ("begin", "end")
    assert attribute == "" or callable(found)


SOURCE = """
class Thing:
    @classmethod
    def made(cls):
        return cls()

    def work(self):
        return 42

    async def wait(self):
        return 43
"""


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Marks]:
    (tmp_path / "a_watched_module.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    places = ("a_watched_module:", *(f"a_watched_module:Thing.{name}" for name in ("made", "work", "wait")))
    points = [(place, moment) for place in places for moment in ("begin", "end")]
    marks = Marks()
    monkeypatch.setattr(sys, "meta_path", [Watch(points, marks), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "a_watched_module", raising=False)
    return import_module("a_watched_module"), marks


def test_an_import_and_calls_of_every_kind_are_noted_and_do_what_they_did(watched: tuple[Any, Marks]) -> None:
    module, marks = watched
    thing = module.Thing.made()
    assert isinstance(thing, module.Thing)
    assert thing.work() == 42
    assert asyncio.run(thing.wait()) == 43
    assert [number for number, _ in marks.taken] == [0, 1, 2, 3, 4, 5, 6, 7]
    times = [when for _, when in marks.taken]
    assert times == sorted(times)


def test_a_timeline_has_medians_in_the_order_of_time_and_what_most_runs_have_reached() -> None:
    runs = [{"a": 1.0, "b": 3.0}, {"b": 5.0, "a": 2.0, "seldom": 4.0}, {"a": 3.0, "b": 4.0}]
    assert [tuple(row) for row in timeline(runs)] == [("a", 2.0, 2.0), ("b", 4.0, 2.0)]


def test_of_a_stage_that_is_reached_again_the_first_time_counts() -> None:
    assert since(1_000_000, [("a", 3_000_000), ("a", 9_000_000)]) == {"a": 2.0}
