"""A table from CSV text: its delimiter, header, and the kind of values that each column has.

Read by Python's csv module, which every installation has and which takes rows as they are (decision 67). Knows no
files.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

Kind = Literal["integer", "float", "boolean", "date", "string", "empty"]

DELIMITERS = (",", ";", "\t", "|")
MOST_ERRORS = 100
"""More rows of a wrong length are not told, only counted."""
_LOOKED_AT = 64_000
"""Characters that the delimiter is found by."""
_LOOKED_AT_ROWS = 50
# No zero before others: what has one is a code, which would lose it.
_INTEGER = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[+-]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DIGITS = re.compile(r"[\s0-9.,+-]*[0-9][\s0-9.,+-]*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.+Zz-]+)?")
_BOOLEANS = {"true": True, "false": False}


class NotCsv(ValueError):
    """It can't be read as CSV; the message says where."""


@dataclass(frozen=True, slots=True)
class Table:
    """CSV text with what is known about its form."""

    text: str
    delimiter: str
    has_headers: bool
    names: Sequence[str]
    """The columns', each one once."""

    def rows(self) -> Iterator[list[str]]:
        """The rows after the header, with as many fields as each has; lines without any field are left out.

        Raises:
            NotCsv: a quote isn't closed, or stands where none may.
        """
        rows = _rows(self.text, self.delimiter)
        if self.has_headers:
            next(rows, None)
        return rows

    def even_rows(self) -> Iterator[list[str]]:
        """The same, each row with as many fields as there are columns."""
        width = len(self.names)
        for row in self.rows():
            yield row if len(row) == width else (row + [""] * (width - len(row)))[:width]

    def kinds(self) -> list[Kind]:
        """The kind of values of each column: the narrowest that all of its values are of."""
        seen: list[set[Kind]] = [set() for _ in self.names]
        for row in self.even_rows():
            for kinds, field in zip(seen, row, strict=True):
                if "string" not in kinds:
                    kinds.add(kind_of(field))
        return [joined(kinds) for kinds in seen]


def table(text: str, *, delimiter: str | None = None, has_headers: bool | None = None) -> Table:
    """The table of a text; what isn't named is found out: a first row without numbers is a header.

    Raises:
        NotCsv: there is nothing in it, or the delimiter is more than a character.
    """
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise NotCsv(f"{delimiter!r} can't be a delimiter: it is one character, and no quote")
    if delimiter is None:
        delimiter = _delimiter(text)
    first = next(_rows(text, delimiter), None)
    if first is None:
        raise NotCsv("there is nothing in it")
    if has_headers is None:
        words = [kind_of(field) in ("string", "empty") and not _DIGITS.fullmatch(field) for field in first]
        has_headers = all(words) and any(first)
    return Table(text, delimiter, has_headers, _names(first if has_headers else [""] * len(first)))


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    # One field may be as long as the text.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise NotCsv(f"line {reader.line_num}: {error}") from None
        if row:
            yield row


def _delimiter(text: str) -> str:
    """The one that makes the most rows equally wide, and of these the widest; a comma where none divides anything."""
    beginning = text[:_LOOKED_AT]
    if len(text) > _LOOKED_AT:
        # The last line is cut.
        beginning = beginning[: beginning.rfind("\n") + 1] or beginning
    best, most = ",", (0.0, 0)
    for delimiter in DELIMITERS:
        try:
            widths = [len(row) for _, row in zip(range(_LOOKED_AT_ROWS), _rows(beginning, delimiter), strict=False)]
        except NotCsv:
            continue
        if widths:
            width, count = Counter(widths).most_common(1)[0]
            if width > 1 and (count / len(widths), width) > most:
                best, most = delimiter, (count / len(widths), width)
    return best


def _names(given: Sequence[str]) -> list[str]:
    names: list[str] = []
    taken = set()
    for at, field in enumerate(given, start=1):
        name = base = field.strip() or f"column_{at}"
        again = 2
        while name in taken:
            name, again = f"{base}_{again}", again + 1
        taken.add(name)
        names.append(name)
    return names


def kind_of(field: str) -> Kind:
    """The kind of one value by its form."""
    text = field.strip()
    if not text:
        return "empty"
    if _INTEGER.fullmatch(text):
        return "integer"
    if _FLOAT.fullmatch(text):
        return "float"
    if text.lower() in _BOOLEANS:
        return "boolean"
    return "date" if _DATE.fullmatch(text) and _date(text) is not None else "string"


def joined(kinds: set[Kind]) -> Kind:
    """The narrowest kind that values of all these kinds are of."""
    some = kinds - {"empty"}
    if not some:
        return "empty"
    if len(some) == 1:
        return next(iter(some))
    return "float" if some == {"integer", "float"} else "string"


def value_of(field: str, kind: Kind) -> Any:
    """A field as a value: a number, a truth value or text; None where it is empty."""
    if kind == "string":
        return field or None
    text = field.strip()
    if not text:
        return None
    if kind == "integer":
        return int(text)
    if kind == "float":
        number = float(text)
        # JSON has no infinity: what is too large stays text.
        return number if abs(number) != float("inf") else text
    return _BOOLEANS[text.lower()] if kind == "boolean" else text


def _date(text: str) -> date | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
