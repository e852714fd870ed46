"""Text as data formats have it: lines that end at `\\n`, and characters that UTF-8 can hold. Imports nothing at first.

`str.splitlines` divides at a dozen more characters (U+2028, U+0085, form feed …), which are text like any other to
JSON, logs and files of lines.
"""

from __future__ import annotations


def text_lines(text: str) -> list[str]:
    """The lines of a text, which end with `\\n` or `\\r\\n`; what stands behind the last end is a line unless empty."""
    lines = text.split("\n")
    if not lines[-1]:
        del lines[-1]
    return [line.removesuffix("\r") for line in lines]


def data_lines(data: bytes) -> list[str]:
    """The same of bytes, which are UTF-8 but for U+FFFD in place of what is not."""
    return text_lines(data.decode("utf-8", "replace"))


def shown_name(name: str) -> str:
    """A name as a question or a line shows it: escapes of a terminal and line ends in it are written out."""
    if name.isprintable():
        return name
    # Few names need it.
    import json

    return json.dumps(name)


def whole_text(text: str) -> str:
    """The text with U+FFFD in place of lone surrogates, which stand for bytes that were no text, or half of a pair."""
    # Pairs are joined: scripts write them in two halves.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
