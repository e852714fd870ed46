"""Text of others as it may stand at a terminal: names, messages and log lines can't move its cursor or set its title.

What scripts print is theirs to design and passes as it is; what a model says is shown through `visible_lines`.
"""

from __future__ import annotations

import re

_UNSEEN = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Controls, line ends that are none, directions that let a text read backwards, and what is no character at all."""
_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_UNSEEN}]")
_IN_A_LINE = re.compile(f"[\x00-\x1f{_UNSEEN}]")


def visible(text: str) -> str:
    """The text as one line, with `\\x1b`, `\\x0a` or `\\u2028` in place of what is not to be seen."""
    return text if text.isprintable() else _IN_A_LINE.sub(_escape, text)


def visible_lines(text: str) -> str:
    """The same of a text whose lines and tabs stay."""
    return text if text.isprintable() else _IN_LINES.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # A byte of a file's name that is no text.
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
