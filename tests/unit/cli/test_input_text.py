"""Standard input: what is said of one that is empty, and whether something waits in it."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from llmspell_cli.terminal.input_text import files_among, input_waits, piped_text


@pytest.mark.parametrize(
    ("data", "waits", "text", "said"), [(b"", False, None, b"Standard input is empty\r\n"), (b"a\n", True, "a", b"")]
)
def test_an_empty_pipe_is_told_where_people_watch(
    data: bytes, waits: bool, text: str | None, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    watcher, terminal = pty.openpty()
    with open(reading) as stdin, open(terminal, "w") as stderr:
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.stderr", stderr)
        assert input_waits() is waits
        assert piped_text() == text
        stderr.write(".")
        stderr.flush()
        seen = b""
        while len(seen) < len(said) + 1:  # a terminal gives what has come so far
            seen += os.read(watcher, 100)
        assert seen == said + b"."
        monkeypatch.undo()
    os.close(watcher)


def test_nothing_waits_in_no_input_and_a_file_waits_until_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("x")
    for path, waits in (("/dev/null", False), (str(tmp_path / "a"), True)):
        with open(path) as stdin:
            monkeypatch.setattr("sys.stdin", stdin)
            assert input_waits() is waits
            assert stdin.read() in ("", "x")
            assert not input_waits()
            monkeypatch.undo()


def test_words_that_are_files_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").touch()
    (tmp_path / "folder").mkdir()
    assert files_among(["Who", "notes.txt", "@notes.txt", "folder", "", "@", "a\0b", "x" * 5000]) == ["notes.txt"] * 2
