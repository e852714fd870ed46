"""How far a call of a tool is, as `llmspell tool invoke` shows it: events, lines, or nothing."""

from __future__ import annotations

import json

import pytest

from llmspell_cli.commands.tool.invoke import Steps
from llmspell_cli.invocation import Options
from llmspell_cli.terminal.output import Output

STEP = {"message": "2 of 4 pages", "figures": {"percent_complete": 50.0}, "seq": 3}
EVENT = {
    "event": "progress",
    "command": "tool invoke",
    "tool": "web-scraper",
    "message": "2 of 4 pages",
    "figures": {"percent_complete": 50.0},
}


def _shown(capsys: pytest.CaptureFixture[str], output: str, *, stream: bool) -> tuple[str, str]:
    with Steps(Output(Options(output=output)), "web-scraper", stream=stream) as steps:
        steps.show(STEP)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_json_has_an_event_on_stderr_and_with_stream_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = _shown(capsys, "json", stream=False)
    assert (out, json.loads(err)) == ("", EVENT)
    out, err = _shown(capsys, "json", stream=True)
    assert (json.loads(out), err) == (EVENT, "")


def test_text_in_a_pipe_has_a_line_with_stream_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert _shown(capsys, "text", stream=False) == ("", "")
    assert _shown(capsys, "text", stream=True) == ("", "2 of 4 pages\n")


def test_a_terminal_has_a_bar_that_goes_away(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    out, err = _shown(capsys, "text", stream=False)
    assert out == ""
    assert "2 of 4 pages" in err
    assert " 50 %" in err
