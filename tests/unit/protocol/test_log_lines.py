"""A log's lines in both forms: what is written can be read again, and nothing forges an entry."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from llmspell_protocol.log_lines import LogLine, last_lines, log_files, read_line, read_lines

FULL = LogLine(
    ts="2025-10-12T10:15:30.123Z",
    level="warn",
    target="llmspell_kernel.app",
    message="it says: [INFO] a: b, ü",
    request_id="ab-12.script-1.3",
    traceback='Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no',
)


def test_a_plain_line_is_as_promised() -> None:
    line = LogLine("2025-10-12T10:15:30.123Z", "info", "llmspell_kernel.app", "message")
    assert line.to_text() == "2025-10-12T10:15:30.123Z [INFO] message"
    assert line.to_text(with_target=True) == "2025-10-12T10:15:30.123Z [INFO] llmspell_kernel.app: message"
    assert line._replace(request_id="7").to_text() == "2025-10-12T10:15:30.123Z [INFO] message request_id=7"
    assert json.loads(line.to_json()) == {
        "ts": "2025-10-12T10:15:30.123Z",
        "level": "info",
        "target": "llmspell_kernel.app",
        "message": "message",
    }


def test_what_was_written_is_read_again_in_both_forms() -> None:
    assert list(read_lines([FULL.to_json()])) == [FULL]
    assert list(read_lines(FULL.to_text(with_target=True).split("\n"))) == [FULL]
    assert list(read_lines(FULL.to_text().split("\n"))) == [FULL._replace(target=None)]


def test_a_log_of_both_forms_is_read_as_it_comes() -> None:
    other = LogLine("2025-10-12T10:15:31.000Z", "error", None, "two")
    lines = [*FULL.to_text(with_target=True).split("\n"), other.to_json(), *other.to_text().split("\n")]
    assert list(read_lines(["half a line", *lines])) == [FULL, other, other]


def test_a_message_can_not_forge_an_entry() -> None:
    forged = LogLine("2025-10-12T10:15:31.000Z", "info", None, "one\n2025-10-12T10:15:31.000Z [ERROR] two")
    for text in (forged.to_text(), forged.to_json()):
        assert [entry.level for entry in read_lines(text.split("\n"))] == ["info"]


@pytest.mark.parametrize(
    "text",
    [
        *("", "plain", "{", "{}", "[1]", '{"ts": 1}'),
        *("2025-10-12T10:15:30.123Z", "2025-10-12T10:15:30.123Z [LOUD] x", "a [INFO] x"),
    ],
)
def test_what_is_no_entry_is_none(text: str) -> None:
    assert read_line(text) is None


def test_the_last_lines_come_from_rotated_files_too(tmp_path: Path) -> None:
    log = tmp_path / "kernel.log"
    assert (last_lines(log, 5), log_files(log)) == ([], [])
    log.write_text("e\nf\n")
    log.with_name("kernel.log.1").write_text("d\n")  # just rotated, not packed yet
    log.with_name("kernel.log.2.gz").write_bytes(gzip.compress(b"a\nb\nc\n"))
    assert [last_lines(log, count) for count in (0, 1, 2, 3, 5, 99)] == [
        *([], ["f"], ["e", "f"], ["d", "e", "f"], ["b", "c", "d", "e", "f"], list("abcdef"))
    ]
    assert [path.name for path in log_files(log)] == ["kernel.log", "kernel.log.1", "kernel.log.2.gz"]


def test_long_lines_are_whole(tmp_path: Path) -> None:
    log = tmp_path / "kernel.log"
    lines = [letter * 100_000 for letter in "abc"]
    log.write_text("\n".join(lines) + "\n")
    assert last_lines(log, 2) == lines[1:]


@pytest.mark.parametrize("request_id", ["one two", "a\n2025-10-12T10:15:31.000Z [ERROR] b", "-", "%41", "é\u2028", " "])
def test_an_id_that_a_client_chose_stays_one_word(request_id: str) -> None:
    line = LogLine("2025-10-12T10:15:31.000Z", "info", None, "message", request_id)
    assert "\n" not in line.to_text()
    assert list(read_lines([line.to_text()])) == list(read_lines([line.to_json()])) == [line]


@pytest.mark.parametrize("message", ["x request_id=forged", "request_id=", " request_id=-", "llmspell_kernel.app: x"])
def test_a_message_that_looks_like_our_own_words_is_read_as_it_was_written(message: str) -> None:
    line = LogLine("2025-10-12T10:15:31.000Z", "info", "llmspell_kernel.logs", message)
    for text in (line.to_text(), line.to_text(with_target=True), line.to_json()):
        (read,) = read_lines([text])
        assert (read.message, read.request_id) == (message, None)
