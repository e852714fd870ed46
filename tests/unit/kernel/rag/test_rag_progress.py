"""How far an ingest is, as it is told."""

from __future__ import annotations

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.rag.progress import Progress
from tests.support.recording_sink import RecordingSink


class Bench:
    def __init__(self, *, tells: bool = True) -> None:
        self.now = 0.0
        self.sink = RecordingSink()
        request = Request("1", "rag_request", {}, Caller(client="c", session="s"), self.sink)
        self.progress = Progress(request, tells=tells, clock=lambda: self.now)

    @property
    def stages(self) -> list[str]:
        return [content["stage"] for _, content in self.sink.sent]


def test_a_stage_is_told_now_and_then_and_a_new_one_at_once() -> None:
    bench = Bench()
    for stage in ("looking", "embedding", "embedding", "writing"):
        bench.progress.tell(stage)
    bench.now = 0.3
    bench.progress.tell("writing")
    assert bench.stages == ["looking", "embedding", "writing", "writing"]


def test_a_warning_is_told_at_once() -> None:
    bench = Bench()
    bench.progress.tell("reading")
    bench.progress.tell("reading", "a.pdf", warning="a.pdf: it is damaged")
    assert bench.sink.sent[-1][1]["warning"] == "a.pdf: it is damaged"


def test_rate_and_time_left_are_by_bytes_where_they_are_known() -> None:
    bench = Bench()
    bench.progress.bytes, bench.progress.documents = 1000, 4
    bench.progress.bytes_done, bench.progress.documents_done, bench.progress.chunks_done = 250, 2, 10
    bench.now = 5.0
    bench.progress.tell("embedding")
    content = bench.sink.sent[-1][1]
    assert (content["rate"], content["eta_s"]) == (2.0, 15.0)


def test_time_left_is_by_documents_where_bytes_are_not_known() -> None:
    bench = Bench()
    bench.progress.documents, bench.progress.documents_done, bench.progress.chunks_done = 4, 2, 10
    bench.now = 5.0
    bench.progress.tell("embedding")
    assert bench.sink.sent[-1][1]["eta_s"] == 5.0


def test_what_was_quickly_passed_over_long_ago_promises_nothing() -> None:
    bench = Bench()
    bench.progress.documents, bench.progress.documents_done, bench.progress.chunks_done = 1000, 500, 1
    bench.now = 1.0
    bench.progress.tell("embedding")
    for _ in range(20):
        bench.now += 1.0
        bench.progress.documents_done += 5
        bench.progress.chunks_done += 10
        bench.progress.tell("embedding")
    assert bench.sink.sent[-1][1]["rate"] == 10.0
    assert bench.sink.sent[-1][1]["eta_s"] == 80.0


def test_documents_that_take_minutes_have_a_time_left_all_the_while() -> None:
    bench = Bench()
    bench.progress.bytes, bench.progress.documents = 6_000, 6
    told: list[tuple[float, float | None]] = []
    for half_second in range(1, 6 * 120):
        bench.now = half_second / 2
        bench.progress.chunks_done += 1
        bench.progress.documents_done, bench.progress.bytes_done = half_second // 120, half_second // 120 * 1_000
        bench.progress.tell("embedding")
        told.append((360.0 - bench.now, bench.sink.sent[-1][1]["eta_s"]))
    assert [eta for left, eta in told if left >= 300.5] == [None] * 119
    assert all(eta is not None and abs(eta - left) < 2 for left, eta in told if left <= 300)


def test_after_a_long_pause_the_time_left_is_by_what_was_done_before_it() -> None:
    bench = Bench()
    bench.progress.documents, bench.progress.documents_done, bench.progress.chunks_done = 100, 10, 10
    bench.now = 1.0
    bench.progress.tell("embedding")
    bench.now = 20.0
    bench.progress.tell("embedding")
    assert bench.sink.sent[-1][1]["eta_s"] == 180.0


def test_too_early_nothing_is_guessed() -> None:
    bench = Bench()
    bench.progress.chunks_done = 1
    bench.now = 0.1
    bench.progress.tell("embedding")
    assert (bench.sink.sent[-1][1]["rate"], bench.sink.sent[-1][1]["eta_s"]) == (None, None)


def test_nothing_is_told_that_is_not_wanted() -> None:
    bench = Bench(tells=False)
    bench.progress.tell("looking", warning="x")
    assert bench.sink.sent == []
