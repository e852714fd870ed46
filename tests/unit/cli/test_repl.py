"""Parts of the repl that need no kernel: its files, and what is a command."""

from __future__ import annotations

import json
import signal
import stat
from pathlib import Path

import pytest

from llmspell_cli.repl.dot_commands import is_command, plain_word
from llmspell_cli.repl.last_kernel import remember, remembered
from llmspell_cli.repl.session_file import SavedSession, load, save
from llmspell_cli.terminal.history_file import ENTRIES, HistoryFile
from llmspell_cli.terminal.interrupts import Interrupts
from llmspell_protocol.errors import InvalidRequest, NotFound


def test_history_keeps_the_newest_thousand_and_inputs_of_several_lines_whole(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "history"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(f"entry {number}") + "\n" for number in range(ENTRIES)))
    history = HistoryFile(file)
    history.add("for i = 1, 2 do\n  print('ü\u2028')\nend")
    entries = history.entries()
    assert len(entries) == ENTRIES
    assert entries[0] == "entry 1"
    assert entries[-1] == "for i = 1, 2 do\n  print('ü\u2028')\nend"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_history_of_another_program_is_taken_as_lines(tmp_path: Path) -> None:
    file = tmp_path / "history"
    file.write_text("x = 1\n42\n\n")
    assert HistoryFile(file).entries() == ["x = 1", "42"]


def test_history_that_can_not_be_kept_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidRequest, match=r"can't write the history .*file/history"):
        HistoryFile(tmp_path / "file" / "history").add("x")


def test_a_saved_session_comes_back(tmp_path: Path) -> None:
    saved = SavedSession(["x = 1"], {"x": 1, "t": {"a": [1, 2]}}, ["f"], model="mock/a@mock")
    path = str(tmp_path / "session.json")
    save(path, saved)
    assert load(path) == saved
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{}", '{"inputs": [1], "variables": {}}', '{"inputs": [], "variables": 1}', "{"),
        '{"inputs": [], "variables": {}, "skipped": 1}',
    ],
)
def test_a_file_that_is_no_session_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(InvalidRequest):
        load(str(tmp_path / "x.json"))
    with pytest.raises(NotFound):
        load(str(tmp_path / "nosuch.json"))


@pytest.mark.parametrize(
    "text", [".help", ".?", ".foo", ".set x 1", "db:break 3", "debug: step", "db:locals", "db:", "debug: "]
)
def test_commands_are_told_from_lua(text: str) -> None:
    assert is_command(text)


@pytest.mark.parametrize("text", [".5", "...", "x.y", "db:query()", "debug.traceback()", "db:find ('x')", "db = 1", ""])
def test_lua_is_told_from_commands(text: str) -> None:
    assert not is_command(text)


def test_the_last_kernel_is_remembered_for_its_user_only(tmp_path: Path) -> None:
    assert remembered(tmp_path / "run") is None
    remember(tmp_path / "run", "port-9555")
    assert remembered(tmp_path / "run") == "port-9555"
    assert stat.S_IMODE((tmp_path / "run" / "last-connected").stat().st_mode) == 0o600


def test_ctrl_c_raises_only_where_something_can_be_cancelled() -> None:
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        assert interrupts.take()
        assert not interrupts.take()
        with pytest.raises(KeyboardInterrupt), interrupts.cancellable():
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        # One that came before counts as well.
        with pytest.raises(KeyboardInterrupt), interrupts.cancellable():
            raise AssertionError("not reached")


def test_a_second_ctrl_c_waits_until_the_first_has_been_dealt_with() -> None:
    with Interrupts() as interrupts:
        with interrupts.cancellable():
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        assert interrupts.take()


def test_a_ctrl_c_left_behind_by_a_question_cancels_what_asked() -> None:
    woken: list[str] = []
    with Interrupts() as interrupts:

        def ask() -> None:
            with interrupts.received_by(lambda: woken.append("yes")):
                signal.raise_signal(signal.SIGINT)
            raise AssertionError("not reached")

        with pytest.raises(KeyboardInterrupt), interrupts.cancellable():
            ask()
        assert woken == ["yes"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        *(("exit", "exit"), (" quit ", "quit"), ("help", "help"), ("exit()", "exit")),
        *(("os.exit()", None), ("exit = 1", None), ("return exit", None), ("exits", None), ("exit(1)", None)),
    ],
)
def test_a_word_alone_that_leaves_or_helps_is_known(text: str, word: str | None) -> None:
    assert plain_word(text) == word
