"""The fenced code blocks in a text, as Markdown has them. Pure."""

from __future__ import annotations

import re

_BLOCK = re.compile(
    # Three or more of one mark behind three blanks at most; closed by as many, or by the end of a reply that was cut.
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[^\n`]*\n(?P<code>.*?)(?:^ {0,3}(?P=fence)[`~]*[ \t\r]*$|\Z)",
    re.DOTALL | re.MULTILINE,
)


def code_blocks(text: str) -> list[str]:
    """What stands between the fences, in order."""
    return [found["code"] for found in _BLOCK.finditer(text)]
