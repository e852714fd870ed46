"""The indent of the line that is to be written next. Knows tokens, no values."""

from __future__ import annotations

import re
from itertools import islice

from llmspell_kernel.scripting.lua.tokens import Token, is_long, still_open, tokens

_STEP = "  "
_LINES_LOOKED_AT = 100
_INDENTED = re.compile(r"^([ \t]+)\S", re.MULTILINE)


def next_indent(code: str) -> str:
    """The spaces or tabs that a line behind incomplete code begins with: one step more than the line on which the
    innermost bracket or block was opened; nothing inside a long string, whose text it would change."""
    found = tokens(code)
    if found and not found[-1].closed and is_long(found[-1]):
        return "" if found[-1].kind == "string" else _indent_at(code, len(code))
    plain = [token for token in found if token.kind != "comment"]
    opened = still_open(plain)
    if not opened:
        # An expression goes on: deeper than the line that it began on.
        begins = plain[-1].start if plain else len(code)
        return _indent_at(code, begins) + ("" if not plain else _step(code, plain))
    return _indent_at(code, opened[-1].token.start) + _step(code, plain)


def _indent_at(code: str, at: int) -> str:
    """The indent of the line that this character stands in."""
    line = code[code.rfind("\n", 0, at) + 1 :]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _step(code: str, found: list[Token]) -> str:
    """What the code is indented with already, else two spaces."""
    inside = [(token.start, token.end) for token in found if token.kind == "string" and is_long(token)]
    steps = [
        match[1]
        for match in islice(_INDENTED.finditer(code), _LINES_LOOKED_AT)
        if not any(start < match.start() < end for start, end in inside)
    ]
    if any(step.startswith("\t") for step in steps):
        return "\t"
    least = min(steps, key=len, default=_STEP)
    return least if len(least) in (2, 3, 4, 8) else _STEP
