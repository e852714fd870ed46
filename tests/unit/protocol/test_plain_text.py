"""Lines end at `\\n` and `\\r\\n` alone, and what UTF-8 can't hold is U+FFFD."""

from __future__ import annotations

import pytest

from llmspell_protocol.plain_text import data_lines, text_lines, whole_text

NO_ENDS = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\r")


@pytest.mark.parametrize("sign", NO_ENDS)
def test_what_only_unicode_takes_for_an_end_is_text(sign: str) -> None:
    assert text_lines(f"one{sign}two\nthree") == [f"one{sign}two", "three"]
    assert data_lines(f"one{sign}two\r\nthree\n".encode()) == [f"one{sign}two", "three"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\n\n", ["a", ""]), ("a\r\n\r\nb", ["a", "", "b"])],
)
def test_the_last_end_begins_no_line(text: str, lines: list[str]) -> None:
    assert text_lines(text) == lines


def test_bytes_that_are_no_text_and_halves_of_pairs_are_replaced() -> None:
    assert data_lines(b"caf\xe9\n") == ["caf\ufffd"]
    assert whole_text("a\ud83d b\udce9 \ud83d\ude00") == "a\ufffd b\ufffd 😀"
    assert whole_text("\ufeffé") == "\ufeffé"
