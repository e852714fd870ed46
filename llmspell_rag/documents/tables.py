"""Tables of text (CSV, TSV): each row as lines `column: value`, so that a row says by itself what it is about."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence

from llmspell_protocol.errors import InvalidRequest
from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.media_types import TSV
from llmspell_rag.documents.text import Text
from llmspell_rag.documents.written import Written

_DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 64_000
"""Characters that the delimiter is found by."""
_LOOKED_AT_ROWS = 50


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The rows after the first, which names the columns; empty values are left out.

    Raises:
        InvalidRequest: it is no text, no table, or nothing is in it.
    """
    text, encoding = decoded(source, name, charset)
    delimiter = "\t" if media_type == TSV else _delimiter(text)
    rows = _rows(text, delimiter)
    written = Written(name)
    try:
        columns = next(rows, [])
        for row in rows:
            written.record("\n".join(_lines(columns, row)))
    except csv.Error as error:
        raise InvalidRequest(
            f"{name} is no table: {error}",
            hint="give it as text/plain, or mend the row",
            details={"name": name, "reason": "damaged"},
        ) from None
    if not written.length:
        raise InvalidRequest(f"{name} has no rows below its first line", details={"name": name, "reason": "empty"})
    return Text(
        text=written.text,
        media_type=media_type,
        records=written.records,
        metadata={
            "encoding": encoding,
            "columns": [column.strip() for column in columns],
            "rows": len(written.records),
        },
    )


def _lines(columns: Sequence[str], row: Sequence[str]) -> Iterator[str]:
    for at, value in enumerate(row):
        shown = value.strip()
        if shown:
            column = columns[at].strip() if at < len(columns) else ""
            yield f"{column or f'column {at + 1}'}: {shown}"


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    # One field may be as long as the text.
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    return (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)


def _delimiter(text: str) -> str:
    """The one that makes the most rows equally wide, and of these the widest; a comma where none divides anything."""
    beginning = text[:_LOOKED_AT]
    if len(text) > _LOOKED_AT:
        # The last line is cut.
        beginning = beginning[: beginning.rfind("\n") + 1] or beginning
    best, most = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        widths = [len(row) for _, row in zip(range(_LOOKED_AT_ROWS), _rows(beginning, delimiter), strict=False)]
        if widths:
            width, count = Counter(widths).most_common(1)[0]
            if width > 1 and (count / len(widths), width) > most:
                best, most = delimiter, (count / len(widths), width)
    return best
