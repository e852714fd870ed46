"""What every database answers with: rows as plain values, the tables that there are, and its own errors in words."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.outcome import ToolFailure

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, CursorResult

QueryType = Literal["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP"]
Values = Mapping[str, Any] | Sequence[Any] | None
"""Of the query's parameters: by name (`:name`) or by position."""

READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "SHOW", "EXPLAIN"})
_COMMENTS = re.compile(r"(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|\()+", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")


class Rows(NamedTuple):
    """What a query gave."""

    columns: list[str]
    rows: list[dict[str, Any]]
    affected: int
    """Rows that were written, or read"""
    truncated: bool


def first_word(query: str) -> str:
    """The word that a statement begins with, in capitals, after comments and opening brackets."""
    begin = _COMMENTS.match(query)
    word = _WORD.match(query, begin.end() if begin else 0)
    return word[0].upper() if word else ""


def mismatch(query_type: str, does: str) -> InvalidRequest:
    """The refusal of a statement that does something else than what it is called."""
    other = does.split(" ")[0]
    return InvalidRequest(
        f"the statement does {does}, and query_type is {query_type}",
        hint=f'say query_type = "{other}" if that is meant' if other != query_type else None,
        details={"query_type": query_type, "does": does},
    )


def executed(connection: Connection, query: str, values: Values) -> CursorResult[Any]:
    """Runs one statement as it is: what is in it is no pattern for values unless there are some."""
    from sqlalchemy import text

    if isinstance(values, Mapping) and values:
        return connection.execute(text(query), dict(values))
    if values:
        return connection.exec_driver_sql(query, tuple(values))
    return connection.execution_options(no_parameters=True).exec_driver_sql(query)


def fetched(result: CursorResult[Any], most: int) -> Rows:
    """The rows of a result, up to `most`."""
    if not result.returns_rows:
        return Rows([], [], max(result.rowcount, 0), False)
    columns = _once_each(list(result.keys()))
    found = result.fetchmany(most + 1)
    rows = [dict(zip(columns, map(plain, row), strict=True)) for row in found[:most]]
    return Rows(columns, rows, len(rows), len(found) > most)


def _once_each(names: Sequence[str]) -> list[str]:
    made: list[str] = []
    for name in names:
        again, unique = 2, str(name)
        while unique in made:
            unique, again = f"{name}_{again}", again + 1
        made.append(unique)
    return made


def plain(value: Any) -> Any:
    """A database's value as JSON has it: bytes in base64, times in ISO 8601, decimals as numbers where exact."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value)


def _number(value: Decimal) -> Any:
    if not value.is_finite():
        return str(value)
    if value == value.to_integral_value() and abs(value) < 10**18:
        return int(value)
    return float(value) if Decimal(repr(float(value))) == value else str(value)


def tables_of(connection: Connection) -> dict[str, Any]:
    """`{tables: [{name, columns, primary_key, foreign_keys, indexes}], views: [name]}`"""
    from sqlalchemy import inspect

    seen = inspect(connection)
    tables = []
    for name in sorted(seen.get_table_names()):
        keys = seen.get_pk_constraint(name)["constrained_columns"]
        tables.append(
            {
                "name": name,
                "columns": [
                    {
                        "name": column["name"],
                        "type": str(column["type"]),
                        "nullable": bool(column["nullable"]),
                        "default": column.get("default"),
                        "primary_key": column["name"] in keys,
                    }
                    for column in seen.get_columns(name)
                ],
                "primary_key": list(keys),
                "foreign_keys": [
                    {
                        "columns": list(key["constrained_columns"]),
                        "table": key["referred_table"],
                        "references": list(key["referred_columns"]),
                    }
                    for key in seen.get_foreign_keys(name)
                ],
                "indexes": [
                    {"name": index["name"], "columns": list(index["column_names"]), "unique": bool(index["unique"])}
                    for index in seen.get_indexes(name)
                ],
            }
        )
    return {"tables": tables, "views": sorted(seen.get_view_names())}


@contextmanager
def told(name: str) -> Iterator[None]:
    """What a database says about a statement, as the call's failure."""
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    try:
        yield
    except DBAPIError as error:
        raise ToolFailure(f"{name}: {str(error.orig).strip()}") from None
    except SQLAlchemyError as error:
        raise ToolFailure(f"{name}: {error}") from None
