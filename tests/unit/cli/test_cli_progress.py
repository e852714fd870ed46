"""Progress outside a terminal, and for programs."""

from __future__ import annotations

import json

import pytest

from llmspell_cli.invocation import Options
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.progress import ProgressView


def downloading(percent: float) -> dict[str, object]:
    total = 98_362_432
    return {
        "seq": 1,
        "phase": "downloading",
        "file": "model.gguf",
        "bytes_downloaded": int(total * percent / 100),
        "bytes_total": total,
        "percent_complete": percent,
        "bytes_per_second": 4_100_000,
        "eta_s": 14,
    }


def test_without_a_terminal_there_is_a_line_each_ten_percent(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(Output(Options()), "model pull", "smollm2:135m") as view:
        for percent in (0, 3, 9.9, 10, 15, 40, 100):
            view.show(downloading(percent))
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 4
    assert lines[2] == "smollm2:135m  downloading    40 %   39.3 of 98.4 MB   4.1 MB/s   eta 14 s"


def test_a_phase_whose_line_has_no_number_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(Output(Options()), "model import", "small") as view:
        for percent in (0, 30, 70, 100):
            view.show({**downloading(percent), "phase": "verifying"})
    assert capsys.readouterr().err == "small  verifying\n"


def test_in_json_mode_each_progress_is_an_event_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(Output(Options(output="json")), "model pull", "smollm2:135m@candle") as view:
        view.show(downloading(40))
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["command"], event["model"]) == ("progress", "model pull", "smollm2:135m@candle")
    assert event["percent_complete"] == 40
    assert "seq" not in event


def test_prefill_reports_nothing_where_it_is_not_watched(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(Output(Options()), "chat", None) as view:
        view.show({"phase": "prefill", "processed": 10, "total": 100})
    assert capsys.readouterr().err == ""
