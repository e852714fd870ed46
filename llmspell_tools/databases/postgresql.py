"""A PostgreSQL server: connected to by a checked address, with what a statement does looked at before it is run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.tools.permissions import denied
from llmspell_tools.databases.results import (
    READS,
    QueryType,
    Rows,
    Values,
    executed,
    fetched,
    first_word,
    mismatch,
    tables_of,
    told,
)
from llmspell_tools.extra_libraries import library

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from llmspell_tools.contract import Call

_PORT = 5432
_OPTIONS = ("sslmode", "application_name")
"""What may stand in an address besides; others name files and services of this machine."""
_SETTING = "tools.database.allowed_hosts"
_WRITING = ("INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where a database is, and who asks."""

    host: str
    port: int
    name: str
    user: str | None
    password: str | None
    options: Mapping[str, str]

    @property
    def shown(self) -> str:
        """Without the password."""
        return f"postgresql://{self.host}:{self.port}/{self.name}"


def read_address(url: str) -> Server:
    """`postgresql://user:password@host:port/database?sslmode=…`

    Raises:
        InvalidRequest: it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORT
    except ValueError as error:
        raise InvalidRequest(f"the database's address is wrong: {error}") from None
    host, name = unquote(parts.hostname or ""), unquote(parts.path.removeprefix("/"))
    if not host or "/" in host or "," in host or not name:
        raise InvalidRequest("the database's address is postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for option in options:
        if option not in _OPTIONS:
            raise InvalidRequest(f"the database's address has an option '{option}'; there are {', '.join(_OPTIONS)}")
    user = unquote(parts.username) if parts.username is not None else None
    password = unquote(parts.password) if parts.password is not None else None
    return Server(host=host, port=port, name=name, user=user, password=password, options=options)


def query(call: Call, server: Server, statement: str, query_type: QueryType, values: Values, most: int) -> Rows:
    """Runs one statement in a transaction of its own, which only reads for SELECT.

    Raises:
        InvalidRequest: it does something else than `query_type` says; nothing has been done.
        ToolFailure: the server can't be reached, or says no.
    """
    word = first_word(statement)
    if word not in (READS if query_type == "SELECT" else (query_type, "WITH" if query_type in _WRITING else "")):
        raise mismatch(query_type, word or "nothing")
    with _connected(call, server) as connection, told(server.shown):
        executed(connection, f"SET TRANSACTION READ {'ONLY' if query_type == 'SELECT' else 'WRITE'}", None)
        if query_type in (*_WRITING, "SELECT") and word not in ("SHOW", "EXPLAIN"):
            _demand(connection, statement, query_type, values)
        rows = fetched(executed(connection, statement, values), most)
        connection.commit()
    return rows


def schema(call: Call, server: Server) -> dict[str, Any]:
    """Tables and views of the schema that names without one mean."""
    with _connected(call, server) as connection, told(server.shown):
        executed(connection, "SET TRANSACTION READ ONLY", None)
        return tables_of(connection)


def _demand(connection: Connection, statement: str, query_type: QueryType, values: Values) -> None:
    """What the planner says that the statement would write has to be what it is called, and nothing else."""
    plan = executed(connection, f"EXPLAIN (FORMAT JSON) {statement}", values).scalar_one()
    found = _operations(json.loads(plan) if isinstance(plan, str) else plan)
    wanted = {query_type} if query_type in _WRITING else set()
    if found != wanted:
        raise mismatch(query_type, ", ".join(sorted(found - wanted)) or "SELECT")


def _operations(plan: Any) -> set[str]:
    if isinstance(plan, list):
        return {one for part in plan for one in _operations(part)}
    if not isinstance(plan, dict):
        return set()
    own = {str(plan["Operation"]).upper()} if plan.get("Node Type") == "ModifyTable" else set()
    return own | {one for part in plan.values() for one in _operations(part)}


@contextmanager
def _connected(call: Call, server: Server) -> Iterator[Connection]:
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    psycopg = library("psycopg", "psycopg[binary]", "speaking to PostgreSQL")
    settings = call.tables["database"]
    addresses = _addresses(call, server.host, server.port)
    query_timeout_s = settings.get("query_timeout_seconds")

    def connect() -> Any:
        return psycopg.connect(
            host=server.host,
            # In place of a look-up by the library.
            hostaddr=",".join(addresses),
            port=server.port,
            dbname=server.name,
            user=server.user,
            # Neither passwords nor certificates of the account that the kernel runs as.
            password=server.password or "",
            passfile="/dev/null",
            sslcert="",
            sslkey="",
            gssencmode="disable",
            connect_timeout=int(settings.get("connection_timeout_seconds", 10)),
            options=f"-c statement_timeout={int(query_timeout_s or 0) * 1000}",
            # A statement that is prepared is one statement.
            prepare_threshold=0,
            **{"application_name": "llmspell", **server.options},
        )

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with told(server.shown), engine.connect() as connection:
        yield connection


def _addresses(call: Call, host: str, port: int) -> list[str]:
    """The checked addresses. A host that `tools.database.allowed_hosts` names is one that may be spoken to here.

    Raises:
        Forbidden: neither the setting nor a grant has the host.
    """
    allowed = call.tables["database"].get("allowed_hosts", ("localhost", "127.0.0.1"))
    named = {str(one).lower() for one in allowed}
    permissions = call.permissions
    if host.lower() in named and permissions.net:
        # The setting of web tools that blocks this machine doesn't speak of databases.
        from llmspell_tools.limits.network import Network

        granted = replace(
            permissions,
            net=(*permissions.net, host),
            blocked=tuple(one for one in permissions.blocked if one.lower() != host.lower()),
        )
        return Network(granted, call.tables).demand(host, port)
    if "*" not in named and host.lower() not in {one.lower() for one in permissions.net}:
        raise denied("net", host, setting=_SETTING)
    return call.network.demand(host, port)
