"""An SQLite file: opened by the call's permissions, and held to what its statement is called while it is prepared."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.databases.results import QueryType, Rows, Values, executed, fetched, mismatch, tables_of, told
from llmspell_tools.outcome import ToolFailure

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from llmspell_tools.contract import Call

_CODES = {
    name.removeprefix("SQLITE_"): getattr(sqlite3, name)
    for name in dir(sqlite3)
    if name.startswith(("SQLITE_CREATE_", "SQLITE_DROP_", "SQLITE_ALTER_"))
    or name in ("SQLITE_SELECT", "SQLITE_READ", "SQLITE_FUNCTION", "SQLITE_RECURSIVE", "SQLITE_INSERT")
    or name in ("SQLITE_UPDATE", "SQLITE_DELETE", "SQLITE_ATTACH", "SQLITE_DETACH", "SQLITE_PRAGMA")
    or name in ("SQLITE_TRANSACTION", "SQLITE_SAVEPOINT", "SQLITE_ANALYZE", "SQLITE_REINDEX")
}
_NAMES = {code: name for name, code in _CODES.items()}
_READING = {_CODES[name] for name in ("SELECT", "READ", "FUNCTION", "RECURSIVE")}
# Modules of virtual tables may open files; the others reach beyond the file or the transaction.
_NEVER = ("ATTACH", "DETACH", "PRAGMA", "TRANSACTION", "SAVEPOINT", "CREATE_VTABLE", "DROP_VTABLE")
_NO_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_SYSTEM_TABLES = ("sqlite_master", "sqlite_temp_master", "sqlite_sequence", "sqlite_schema")
_HEADER = b"SQLite format 3\0"
_WRITES: dict[str, tuple[str, ...]] = {"INSERT": ("UPDATE",), "UPDATE": (), "DELETE": ()}
"""What a statement of this kind may do besides, as its own part: an INSERT updates on a conflict."""


class _Held:
    """An authorizer: says no to whatever a statement of this type doesn't do, and remembers what it was."""

    def __init__(self, query_type: QueryType) -> None:
        self._type = query_type
        self.done: set[str] = set()
        self.refused: str | None = None

    def __call__(self, code: int, one: str | None, two: str | None, database: str | None, source: str | None) -> int:
        name = _NAMES.get(code, "")
        if code in _READING and not (name == "FUNCTION" and (two or "").lower() in _NO_FUNCTIONS):
            return sqlite3.SQLITE_OK
        if name == "UPDATE" and one == "sqlite_master":
            # What asking a function for a table looks like. SQLite itself keeps statements from it.
            return sqlite3.SQLITE_OK
        if name and name not in _NEVER and self._may(name, source):
            if source is None and one not in _SYSTEM_TABLES:
                self.done.add(name)
            return sqlite3.SQLITE_OK
        self.refused = self.refused or (f"FUNCTION {two}" if name == "FUNCTION" else name.replace("_", " ") or "more")
        return sqlite3.SQLITE_DENY

    def _may(self, name: str, source: str | None) -> bool:
        if self._type == "SELECT":
            return False
        if self._type not in _WRITES:
            # A definition is kept in a table of its own.
            return name.startswith(self._type) or name in ("INSERT", "UPDATE", "DELETE", "REINDEX", "ALTER_TABLE")
        # What triggers do besides belongs to the database.
        return name in (self._type, *_WRITES[self._type]) or (
            source is not None and name in ("INSERT", "UPDATE", "DELETE")
        )

    def demand(self) -> None:
        """Raises `InvalidRequest` where the statement wasn't one of the type."""
        if self._type != "SELECT" and not any(name.startswith(self._type) for name in self.done):
            does = ", ".join(sorted(self.done)) or "SELECT"
            raise mismatch(self._type, does.replace("_", " "))


def query(call: Call, path: str, statement: str, query_type: QueryType, values: Values, most: int) -> Rows:
    """Runs a statement.

    Raises:
        InvalidRequest: it does something else than `query_type` says; nothing has been done.
        ToolFailure: SQLite says no.
    """
    writes = query_type != "SELECT"
    with (
        _damage_told(path),
        _connected(call, path, writes=writes, makes=query_type == "CREATE") as (connection, raw),
        told(path),
    ):
        raw.execute("BEGIN")
        held = _Held(query_type)
        try:
            # Prepared and not run: what it would do is known by then.
            raw.set_authorizer(held)
            try:
                executed(connection, f"EXPLAIN {statement}", values).close()
            finally:
                raw.set_authorizer(None)
            held.demand()
            held = _Held(query_type)
            raw.set_authorizer(held)
            try:
                rows = fetched(executed(connection, statement, values), most)
            finally:
                raw.set_authorizer(None)
        except BaseException as error:
            raw.rollback()
            if held.refused is not None and not isinstance(error, (InvalidRequest, ToolFailure)):
                raise mismatch(query_type, held.refused) from None
            raise
        raw.commit()
    return rows


def schema(call: Call, path: str) -> dict[str, Any]:
    """Tables and views."""
    with _damage_told(path), _connected(call, path, writes=False, makes=False) as (connection, _), told(path):
        return tables_of(connection)


@contextmanager
def _damage_told(path: str) -> Iterator[None]:
    """What SQLite itself says of a file, as the call's failure."""
    try:
        yield
    except sqlite3.Error as error:
        raise ToolFailure(f"{path}: {error}") from None


@contextmanager
def _connected(call: Call, path: str, *, writes: bool, makes: bool) -> Iterator[tuple[Connection, sqlite3.Connection]]:
    """A connection to the file that the call's permissions lead to, and SQLAlchemy's over it."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import StaticPool

    if writes:
        if not makes and not call.files.exists(path):
            raise ToolFailure(f"{path}: no such file or directory", code="not_found")
        # Nothing is added: it asks whether the file may be written, and makes one that is to be made.
        call.files.write(path, b"", append=True)
    # As large as it is: SQLite reads what it needs of it.
    with call.files.open(path, largest_bytes=1 << 62) as file:
        head = file.read(len(_HEADER))
        if head and head != _HEADER:
            raise ToolFailure(f"{path} is not an SQLite file")
        identity, size = _identity(os.fstat(file.fileno())), os.fstat(file.fileno()).st_size
        real = os.path.realpath(call.files.absolute(path))
        mode = "rw" if writes else "ro"
        raw = sqlite3.connect(
            f"file:{quote(real)}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(raw)
            if _identity(os.stat(real)) != identity:
                raise ToolFailure(f"{path} has been replaced meanwhile")
            if writes:
                _bound(raw, max(size, call.files.largest_bytes))
            engine = create_engine("sqlite+pysqlite://", creator=lambda: raw, poolclass=StaticPool)
            with engine.connect() as connection:
                yield connection, raw
            engine.dispose()
        finally:
            raw.close()


def _prepare(raw: sqlite3.Connection) -> None:
    raw.execute("PRAGMA temp_store = MEMORY")
    # A schema that was made to harm has no functions to call.
    raw.execute("PRAGMA trusted_schema = OFF")
    # Opens the file, so that it can be compared with the one that was looked at.
    raw.execute("PRAGMA schema_version").fetchall()


def _bound(raw: sqlite3.Connection, largest_bytes: int) -> None:
    """No larger than a file may be."""
    page = int(raw.execute("PRAGMA page_size").fetchone()[0])
    raw.execute(f"PRAGMA max_page_count = {max(largest_bytes // page, 1)}")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
