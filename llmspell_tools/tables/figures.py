"""The figures of a CSV table's columns: counts, extremes, mean, median, deviation. One pass over the rows."""

from __future__ import annotations

import math
import statistics
from array import array
from typing import Any

from llmspell_tools.tables.csv_tables import MOST_ERRORS, Kind, Table, joined, kind_of, value_of

_SAMPLES = 5


class _Column:
    """What is gathered of one column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nulls = 0
        # In the order of the rows, for the samples.
        self.different: dict[str, None] = {}
        self.kinds: set[Kind] = set()
        self.numbers = array("d")

    def take(self, field: str) -> None:
        kind = kind_of(field) if "string" not in self.kinds or not field.strip() else "string"
        if kind == "empty":
            self.nulls += 1
            return
        self.kinds.add(kind)
        self.different[field] = None
        if self.kinds <= {"integer", "float"}:
            self.numbers.append(float(field))

    def figures(self) -> dict[str, Any]:
        kind = joined(self.kinds)
        values = [value_of(field, kind) for field in self.different]
        extremes = values if kind in ("integer", "float", "date", "string") else []
        if kind == "float":
            extremes = [value for value in values if isinstance(value, float)]
        numbers = self.numbers if kind in ("integer", "float") else array("d")
        # Rather none than infinity, which JSON doesn't have.
        finite = len(numbers) > 0 and max(abs(max(numbers)), abs(min(numbers))) < 1e150
        return {
            "name": self.name,
            "data_type": kind,
            "null_count": self.nulls,
            "unique_count": len(self.different),
            "min_value": min(extremes, default=None),
            "max_value": max(extremes, default=None),
            "mean": statistics.fmean(numbers) if finite else None,
            "median": statistics.median(numbers) if finite else None,
            "std_dev": _deviation(numbers) if finite and len(numbers) > 1 else None,
            "sample_values": values[:_SAMPLES],
        }


def analyzed(table: Table) -> dict[str, Any]:
    """`{row_count, column_count, delimiter, has_headers, columns, parse_errors}`; the deviation is a sample's (n - 1).

    Raises:
        NotCsv: see `csv_tables`.
    """
    columns = [_Column(name) for name in table.names]
    width, count = len(columns), 0
    errors: list[str] = []
    wrong = 0
    for count, row in enumerate(table.rows(), start=1):
        if len(row) != width:
            wrong += 1
            if wrong <= MOST_ERRORS:
                errors.append(f"row {count}: {wrong_width(row, width)}")
            row = (row + [""] * (width - len(row)))[:width]
        for column, field in zip(columns, row, strict=True):
            column.take(field)
    if wrong > MOST_ERRORS:
        errors.append(f"and {wrong - MOST_ERRORS} more rows")
    return {
        "row_count": count,
        "column_count": width,
        "delimiter": table.delimiter,
        "has_headers": table.has_headers,
        "columns": [column.figures() for column in columns],
        "parse_errors": errors,
    }


def wrong_width(row: list[str], width: int) -> str:
    """What is said about a row that has not as many fields as there are columns."""
    return f"{len(row)} field{'s'[: len(row) != 1]} for {width} column{'s'[: width != 1]}"


def _deviation(numbers: array[float]) -> float:
    # `statistics.stdev` is exact by fractions, and a hundred times slower.
    mean = statistics.fmean(numbers)
    return float((math.fsum((one - mean) ** 2 for one in numbers) / (len(numbers) - 1)) ** 0.5)
