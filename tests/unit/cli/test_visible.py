"""Text of others with its controls to be seen, not felt."""

from __future__ import annotations

import pytest

from llmspell_cli.terminal.visible import visible, visible_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 😀 日本", "plain é 😀 日本"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2066", "a\\u202eb\\u2066"),
        ("a\u2028b\x85c", "a\\u2028b\\x85c"),
        ("caf\udce9 \ud83d", "caf\\xe9 \\ud83d"),
        ("👩\u200d💻\u00a0x", "👩\u200d💻\u00a0x"),
        ("\x00\x7f", "\\x00\\x7f"),
    ],
)
def test_controls_are_shown(text: str, shown: str) -> None:
    assert visible(text) == visible_lines(text) == shown


def test_only_text_of_several_lines_keeps_its_lines() -> None:
    assert visible("a\nb\tc\r\nd\re") == "a\\x0ab\\x09c\\x0d\\x0ad\\x0de"
    assert visible_lines("a\nb\tc\r\nd\re") == "a\nb\tc\nd\\x0de"
