"""A CSV table in another format: JSON, JSON lines, TSV, CSV, Parquet, Excel."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from llmspell_tools.extra_libraries import library
from llmspell_tools.outcome import ToolFailure
from llmspell_tools.tables.csv_tables import Kind, Table, value_of
from llmspell_tools.values.json_values import written

_EXCEL_ROWS = 1_048_576
_EXCEL_TEXT = 32_767
"""Characters of a cell."""


def records(table: Table, kinds: Sequence[Kind] | None = None) -> Iterator[dict[str, Any]]:
    """The rows as `{column: value}`, with values of the columns' kinds."""
    kinds = table.kinds() if kinds is None else kinds
    for row in table.even_rows():
        yield record(table.names, row, kinds)


def record(names: Sequence[str], row: Sequence[str], kinds: Sequence[Kind]) -> dict[str, Any]:
    """One row."""
    return {name: value_of(field, kind) for name, field, kind in zip(names, row, kinds, strict=True)}


def json_lines(table: Table) -> str:
    """A JSON object a line."""
    return "".join(written(one) + "\n" for one in records(table))


def separated(table: Table, delimiter: str) -> str:
    """The same rows with another delimiter, with a header and lines that end in a line feed."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
    if table.has_headers:
        writer.writerow(table.names)
    for row in table.rows():
        writer.writerow(row)
    return file.getvalue()


def parquet(table: Table) -> bytes:
    """A Parquet file, columns typed as their values are; dates are text.

    Raises:
        Unsupported: polars is not installed.
    """
    polars = library("polars", "polars", "writing Parquet")
    types = {"integer": polars.Int64, "float": polars.Float64, "boolean": polars.Boolean}
    kinds = table.kinds()
    columns: list[list[Any]] = [[] for _ in table.names]
    for row in table.even_rows():
        for column, field, kind in zip(columns, row, kinds, strict=True):
            column.append(value_of(field, kind))
    file = io.BytesIO()
    polars.DataFrame(
        [
            polars.Series(name, column, dtype=types.get(kind, polars.String), strict=False)
            for name, column, kind in zip(table.names, columns, kinds, strict=True)
        ]
    ).write_parquet(file)
    return file.getvalue()


def excel(table: Table) -> bytes:
    """An Excel workbook with one sheet. What begins with `=` is text, no formula.

    Raises:
        Unsupported: openpyxl is not installed.
        ToolFailure: a sheet can't hold it.
    """
    openpyxl = library("openpyxl", "openpyxl", "writing Excel files")
    cell_of = library("openpyxl.cell", "openpyxl", "writing Excel files").WriteOnlyCell
    illegal = library("openpyxl.cell.cell", "openpyxl", "writing Excel files").ILLEGAL_CHARACTERS_RE
    rows: list[list[Any]] = [list(table.names)]
    for one in records(table):
        rows.append(list(one.values()))
        if len(rows) > _EXCEL_ROWS:
            raise ToolFailure(f"Excel takes no more than {_EXCEL_ROWS:,} rows")
    # Before a sheet is begun: one that isn't finished leaves a file behind.
    if any(
        isinstance(value, str) and (len(value) > _EXCEL_TEXT or illegal.search(value)) for row in rows for value in row
    ):
        raise ToolFailure("Excel takes no field of more than 32,767 characters, and no control characters")
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("data")
    for row in rows:
        cells = [cell_of(sheet, value=value) for value in row]
        for cell, value in zip(cells, row, strict=True):
            if isinstance(value, str):
                cell.data_type = "s"
        sheet.append(cells)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()
