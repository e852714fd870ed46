"""The lines of a chunk that have code, read from what `string.dump` gives: Lua itself tells them for one function only.

The format is that of Lua 5.4 (`ldump.c`): sizes are numbers of 7 bits a byte, the last byte marked.
"""

from __future__ import annotations

_HEADER_BYTES = 4 + 1 + 1 + 6 + 3 + 8 + 8
"""Signature, version, format, check data, three sizes, an integer and a number to compare."""
_FLOAT, _INTEGER = 0x13, 0x03
_STRINGS = frozenset({0x04, 0x14})
_ABSOLUTE = 0x80
"""In place of a difference: the line stands in a list of its own."""


def code_lines(dump: bytes) -> list[int]:
    """The lines with code of all functions of a chunk, in order."""
    reader = _Reader(dump)
    reader.at = _HEADER_BYTES + 1
    lines: set[int] = set()
    _function(reader, lines)
    return sorted(lines)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def size(self) -> int:
        value = 0
        while True:
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte & 0x80:
                return value

    def skip(self, count: int) -> None:
        self.at += count

    def skip_text(self) -> None:
        self.skip(max(0, self.size() - 1))


def _function(reader: _Reader, lines: set[int]) -> None:
    reader.skip_text()
    first_line = reader.size()
    reader.size()
    _parameters, is_vararg, _stack = reader.byte(), reader.byte(), reader.byte()
    reader.skip(4 * reader.size())
    for _ in range(reader.size()):
        kind = reader.byte()
        if kind in (_FLOAT, _INTEGER):
            reader.skip(8)
        elif kind in _STRINGS:
            reader.skip_text()
    reader.skip(3 * reader.size())
    for _ in range(reader.size()):
        _function(reader, lines)
    count = reader.size()
    differences = reader.data[reader.at : reader.at + count]
    reader.skip(count)
    absolute = {reader.size(): reader.size() for _ in range(reader.size())}
    line = first_line
    for pc, difference in enumerate(differences):
        if difference == _ABSOLUTE:
            line = absolute[pc]
        else:
            line += difference - 256 if difference > 127 else difference
        # A function with varargs begins with an instruction that belongs to no line of its own.
        if pc or not is_vararg:
            lines.add(line)
    for _ in range(reader.size()):
        reader.skip_text()
        reader.size()
        reader.size()
    for _ in range(reader.size()):
        reader.skip_text()
