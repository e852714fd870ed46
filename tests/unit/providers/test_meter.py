"""Progress of a pull: bytes, speed and the pace of reports."""

from __future__ import annotations

import threading

from llmspell_protocol.pulls import PulledFile, PullProgress
from llmspell_providers.pulls.sources.meter import Meter


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_speed_and_time_left_follow_from_the_last_seconds() -> None:
    seen: list[PullProgress] = []
    clock = Clock()
    meter = Meter(seen.append, clock)
    meter.begin("m.gguf", have=1000, total=11_000)
    clock.now = 2.0
    meter.add("m.gguf", 2000)

    assert seen[0].bytes_per_second is None
    last = seen[-1]
    assert (last.bytes_downloaded, last.bytes_total, last.percent_complete) == (3000, 11_000, 27.3)
    assert (last.bytes_per_second, last.eta_s) == (1000.0, 8.0)


def test_files_of_one_pull_count_together() -> None:
    seen: list[PullProgress] = []
    meter = Meter(seen.append, Clock())
    files = [PulledFile(name="a", size_bytes=100), PulledFile(name="b", size_bytes=200)]
    meter.plan(files, have={"b": 50}, reason="the default")
    assert (seen[0].files, seen[0].reason, seen[0].bytes_downloaded, seen[0].bytes_total) == (
        files,
        "the default",
        50,
        300,
    )
    meter.begin("b", have=50, total=200)
    meter.begin("a", have=0, total=100)
    meter.add("b", 50)
    meter.note("a pause")
    assert (seen[-1].file, seen[-1].bytes_downloaded, seen[-1].reason) == ("a", 100, "a pause")
    meter.begin("a", have=100, total=100)

    assert (seen[-1].file, seen[-1].bytes_downloaded, seen[-1].bytes_total) == ("b", 200, 300)
    assert seen[-1].files == ()


def test_bytes_of_an_earlier_pull_that_are_read_again_are_a_phase_of_their_own_until_others_come() -> None:
    seen: list[PullProgress] = []
    meter = Meter(seen.append, Clock())
    files = [PulledFile(name="a", size_bytes=100), PulledFile(name="b", size_bytes=200)]
    meter.plan(files, have={"a": 50, "b": 50}, reason=None)
    meter.check("a")
    meter.begin("a", have=50, total=100)
    meter.check("b")

    assert [(one.phase, one.file, one.bytes_downloaded) for one in seen[1:]] == [
        ("verifying", "a", 100),
        ("downloading", "a", 100),
    ]


def test_reports_come_at_most_ten_times_a_second_and_the_last_one_is_not_lost() -> None:
    told = threading.Event()
    seen: list[PullProgress] = []

    def report(progress: PullProgress) -> None:
        seen.append(progress)
        if progress.bytes_downloaded == 1000:
            told.set()

    meter = Meter(report)
    meter.begin("m", have=0, total=10_000)
    for _ in range(1000):
        meter.add("m", 1)

    assert told.wait(60)
    assert len(seen) < 100


def test_a_pull_that_follows_another_process_says_so_once_and_then_its_progress() -> None:
    seen: list[PullProgress] = []
    clock = Clock()
    meter = Meter(seen.append, clock)
    for now, done in ((0.0, 100), (1.0, 200)):
        clock.now = now
        meter.follow(done, 1000)

    assert [(one.bytes_downloaded, one.bytes_total) for one in seen] == [(100, 1000), (200, 1000)]
    assert "another process" in (seen[0].reason or "")
    assert seen[1].reason is None
