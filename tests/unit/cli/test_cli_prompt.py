"""Questions: yes, no, the end of the input, and no terminal at all."""

from __future__ import annotations

import io

import pytest

from llmspell_cli.endings import NoAnswer
from llmspell_cli.invocation import Options
from llmspell_cli.terminal.output import Output
from llmspell_cli.terminal.prompt import confirmed
from llmspell_protocol.errors import InvalidRequest


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.parametrize("text", ["y\n", "Y\n", " y \n"])
def test_only_y_means_yes(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, text)
    assert confirmed(Output(Options()), "Remove model 'x'?", yes=False)
    assert capsys.readouterr().out == "Remove model 'x'? [y/N]: "


@pytest.mark.parametrize("text", ["n\n", "\n", "yes\n", "no"])
def test_anything_else_is_no(text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    answer(monkeypatch, text)
    assert not confirmed(Output(Options()), "Remove?", yes=False)
    assert capsys.readouterr().out == "Remove? [y/N]: Cancelled\n"


def test_the_end_of_the_input_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "")
    with pytest.raises(NoAnswer) as caught:
        confirmed(Output(Options()), "Remove?", yes=False)
    assert caught.value.hint == "use --yes"


def test_json_mode_asks_nothing() -> None:
    with pytest.raises(InvalidRequest):
        confirmed(Output(Options(output="json")), "Remove?", yes=False)
