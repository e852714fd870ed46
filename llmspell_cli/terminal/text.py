"""Numbers as people read them: sizes, durations, counts; and rows in aligned columns. Text in, text out."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence

from llmspell_cli.terminal.widths import breaks_between, width_of
from llmspell_protocol.durations import duration_text as duration

__all__ = [
    "bands",
    "beginning",
    "columns",
    "date",
    "definitions",
    "duration",
    "home_path",
    "parameters",
    "properties",
    "short_time",
    "size",
    "wrapped",
]

_COMMAND = "llmspell"
_COMMAND_NAMES = 2
"""Of `llmspell model pull`: plain words of a command; more of them are prose."""
_INDENT = 2
_JOINER = "\u200d"
"""Ties signs to one."""
_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float | None, *, decimals_below: float = 100) -> str:
    """Bytes in decimal units: `98.4 MB`, `212 MB`; `-` for None. One decimal below `decimals_below` units."""
    if count is None:
        return "-"
    if count < 1000:
        return f"{count:.0f} B"
    value, units = count / 1000, iter(_UNITS)
    unit = next(units)
    while value >= 999.5:
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}" if round(value, 1) < decimals_below else f"{value:.0f} {unit}"


def parameters(count: int | None) -> str:
    """A number of parameters: `134.5M`, `8.0B`."""
    if count is None:
        return "-"
    unit, letter = (1e9, "B") if count >= 1e9 else (1e6, "M") if count >= 1e6 else (1e3, "K")
    return f"{count / unit:.1f}{letter}"


def short_time(milliseconds: float | None) -> str:
    """`38 ms`, `1.0 s`."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def date(stamp: str | None) -> str:
    """`2025-10-12 10:15` for an ISO 8601 time."""
    return stamp[:16].replace("T", " ") if stamp else "-"


def beginning(text: str, width: int) -> str:
    """A text that takes no more columns than `width`; of a longer one the beginning, with an ellipsis."""
    if width_of(text) <= width:
        return text
    kept = ""
    for char in text:
        if width_of(kept + char) >= width:
            break
        kept += char
    return f"{kept.rstrip().rstrip(_JOINER)}…"


def home_path(path: str | None) -> str:
    """A path with the user's home as `~`."""
    if not path:
        return "-"
    home = os.path.expanduser("~")
    return "~" + path.removeprefix(home) if path == home or path.startswith(home + os.sep) else path


def columns(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """One line a row, cells aligned to the left; a row's last cell needs no room, so it widens no column."""
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for at, cell in enumerate(row[:-1]):
            widths[at] = max(widths[at], width_of(cell))
    padded = ((_filled(cell, width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return [(" " * gap).join(cells).rstrip() for cells in padded]


def bands(rows: Sequence[Sequence[str]], width: int, *, gap: int = 2) -> list[str]:
    """Rows for a terminal that is narrower than their columns: what has no room goes below, indented and aligned too.

    Only a cell that is wider than the whole terminal is broken, between words.
    """
    widths = [max((width_of(row[at]) for row in rows if at < len(row)), default=0) for at in range(max(map(len, rows)))]
    starts = [0]
    used = 0
    for at, wide in enumerate(widths):
        indent = _INDENT if len(starts) > 1 else 0
        if at > starts[-1] and indent + used + wide > width:
            starts.append(at)
            used = 0
        used += wide + gap
    blocks = []
    for start, end in zip(starts, [*starts[1:], len(widths)], strict=True):
        indent = _INDENT if start else 0
        lines = columns([row[start:end] for row in rows], gap=gap)
        blocks.append([[" " * indent + piece for piece in wrapped(line, width - indent)] for line in lines])
    return [line for row in zip(*blocks, strict=True) for block in row for line in block if line.strip()]


def properties(pairs: Sequence[tuple[str, str]], *, width: int | None = None) -> list[str]:
    """`Name:   value` lines with aligned values; with a width, longer values go on below themselves."""
    return definitions([(f"{name}:", value) for name, value in pairs], width=width)


def definitions(pairs: Sequence[tuple[str, str]], *, width: int | None = None) -> list[str]:
    """What is explained in one column, what it means beside it; with a width, longer ones go on below themselves."""
    column = max(width_of(name) for name, _ in pairs) + 2
    lines: list[str] = []
    for name, meaning in pairs:
        pieces = [meaning] if width is None or column + width_of(meaning) <= width else wrapped(meaning, width - column)
        lines.extend(_filled(name if not at else "", column) + piece for at, piece in enumerate(pieces))
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken between words; a longer word has a line of its own, unbroken.

    So has a command (`llmspell model pull smollm2:135m`), which is there to be copied. What the text is indented by,
    its further lines are too.
    """
    indent = text[: len(text) - len(text.lstrip())]
    lines: list[str] = []
    line = ""
    for blanks, word in _words(text.strip()):
        if line and width_of(line) + len(blanks) + width_of(word) > width:
            lines.append(line)
            line = ""
        line = f"{line}{blanks}{word}" if line else indent + word
    return [*lines, line]


def _words(text: str) -> Iterator[tuple[str, str]]:
    """The pieces that a line may be broken between, each with the blanks before it."""
    blanks = ""
    unit: list[str] = []
    """A command and what came before its words."""
    for piece in re.split(r"(\s+)", text):
        if not piece or piece.isspace():
            blanks = piece
        elif unit and _goes_on(unit[1::2], piece):
            unit += [blanks, piece]
        else:
            if unit:
                yield unit[0], "".join(unit[1:])
                unit = []
            if piece.lstrip("`'\"(") == _COMMAND:
                unit = [blanks, piece]
            else:
                yield from _signs(blanks, piece)
    if unit:
        yield unit[0], "".join(unit[1:])


def _goes_on(command: Sequence[str], word: str) -> bool:
    """Whether a word still belongs to a command: its names, its options with a value, and what is no plain word."""
    last, said = command[-1], " ".join(command)
    if said.count("'") % 2 or said.count('"') % 2:
        return True
    if last[-1] in ",;.)`" or word[0] == "(":
        return False
    if word[0] == "-" or not word.rstrip(",;.)`").isalpha() or not word.islower():
        return True
    return last[0] == "-" or sum(one.isalpha() for one in command[1:]) < _COMMAND_NAMES


def _signs(blanks: str, word: str) -> Iterator[tuple[str, str]]:
    """A word, in pieces where its script has no blanks."""
    start = 0
    for at in range(1, len(word) if not word.isascii() else 0):
        if breaks_between(word[at - 1], word[at]):
            yield blanks, word[start:at]
            blanks, start = "", at
    yield blanks, word[start:]


def _filled(cell: str, width: int) -> str:
    return cell + " " * (width - width_of(cell))
