"""database-connector: one statement to an SQLite file or a PostgreSQL server, or what tables there are."""

from __future__ import annotations

import re
import time
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.databases import postgresql, sqlite
from llmspell_tools.databases.results import QueryType
from llmspell_tools.extra_libraries import library
from llmspell_tools.parameters import ToolParameters, missing, parameter

_VARIABLES = {
    "postgresql": "DATABASE_POSTGRESQL_URL",
    "postgres": "DATABASE_POSTGRESQL_URL",
    "sqlite": "DATABASE_SQLITE_PATH",
    "mysql": "DATABASE_MYSQL_URL",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+]*):(?=/|.)")


class Parameters(ToolParameters):
    """What `database-connector` is called with."""

    operation: Literal["query", "schema"] = parameter("query, or schema: which tables there are")
    database: str | None = parameter(
        "an SQLite file, sqlite:///PATH, postgresql://USER:PASSWORD@HOST:PORT/NAME; sqlite or postgresql: what the "
        "variable DATABASE_SQLITE_PATH or DATABASE_POSTGRESQL_URL says",
        None,
        also=("connection_string", "url", "path"),
    )
    query: str | None = parameter("one SQL statement", None, also=("sql", "input"))
    query_type: QueryType = parameter("what the statement does; one that does something else is refused", "SELECT")
    values: dict[str, Any] | list[Any] | None = parameter(
        "values for :name in the query, or in order for ? (SQLite) and %s (PostgreSQL)", None, also=("params",)
    )
    max_rows: int = parameter("the most rows that are given", 1000, ge=1, le=100_000, also=("limit",))

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Types in any case."""
        wanted = given.get("query_type")
        return {**given, "query_type": wanted.strip().upper()} if isinstance(wanted, str) else given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    if wanted.database is None:
        raise missing("database")
    library("sqlalchemy", "sqlalchemy", "speaking to databases")
    kind, where = _database(wanted.database, call)
    if wanted.operation == "query" and not (wanted.query or "").strip():
        raise missing("query")
    server = postgresql.read_address(where) if kind == "postgresql" else None
    if wanted.operation == "schema":
        found = postgresql.schema(call, server) if server is not None else sqlite.schema(call, where)
        result = {"database_type": kind, **found}
        message = f"{len(found['tables'])} tables"
        return Outcome(operation="schema", result=result, output=found["tables"], message=message)
    assert wanted.query is not None
    began = time.perf_counter()
    asked = (wanted.query, wanted.query_type, wanted.values, wanted.max_rows)
    rows = postgresql.query(call, server, *asked) if server is not None else sqlite.query(call, where, *asked)
    result = {
        "database_type": kind,
        "query": wanted.query,
        "status": "executed",
        "columns": rows.columns,
        "results": rows.rows,
        "rows_affected": rows.affected,
        "truncated": rows.truncated,
        "execution_time_ms": round((time.perf_counter() - began) * 1000, 3),
    }
    more = f", more than {wanted.max_rows} there" if rows.truncated else ""
    output = rows.rows if rows.columns else rows.affected
    return Outcome(operation="query", result=result, output=output, message=f"{rows.affected} rows{more}")


def _database(named: str, call: Call) -> tuple[str, str]:
    """The kind of a database, and its file or address."""
    variable = _VARIABLES.get(named.lower())
    if variable is not None:
        found = call.environment.get(variable)
        if not found:
            raise InvalidRequest(f"the variable {variable} is not set", hint="name the database's file or address")
        if variable.endswith("_PATH"):
            return "sqlite", found
        named = found
    scheme = _SCHEME.match(named)
    kind = scheme[1].lower().partition("+")[0] if scheme is not None else "sqlite"
    if kind in ("mysql", "mariadb"):
        raise Unsupported("MySQL and MariaDB are not supported: llmspell brings no driver for them")
    if kind in ("postgresql", "postgres"):
        return "postgresql", named
    if kind != "sqlite":
        raise Unsupported(f"{kind} databases are not supported; there are SQLite files and PostgreSQL servers")
    path = named[len("sqlite:") :] if scheme is not None else named
    # sqlite:///relative, sqlite:////whole
    path = path.removeprefix("///")
    if path.startswith("//") or path in ("", ":memory:"):
        raise InvalidRequest(f"'{named}' names no SQLite file")
    return "sqlite", path


TOOL = Tool(
    name="database-connector",
    description="Runs one SQL statement on an SQLite file or a PostgreSQL server, or tells which tables there are.",
    category="data",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read", "write", "net", "env"),
    settings=("database", "file_operations"),
    result=(
        "query: {database_type, query, status, columns, results: [{column: value}], rows_affected, truncated, "
        "execution_time_ms}; schema: {database_type, tables: [{name, columns, primary_key, foreign_keys, "
        "indexes}], views}"
    ),
    keywords=("sql", "sqlite", "postgresql", "query", "table"),
)
