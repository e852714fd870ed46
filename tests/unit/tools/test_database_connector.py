"""database-connector and SQLite files: rows, tables, permissions, and statements that aren't what they say."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.tool_calls import Called, call_tool


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`a.db`, in a directory that a call may use."""
    where = tmp_path / "place"
    where.mkdir()
    with sqlite3.connect(where / "a.db") as connection:
        connection.executescript(
            """
            CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL, n REAL DEFAULT 0);
            CREATE TABLE log (what TEXT, t INTEGER REFERENCES t (id));
            CREATE UNIQUE INDEX by_name ON t (name);
            CREATE VIEW names AS SELECT name FROM t;
            INSERT INTO t VALUES (1, 'a', 1.5), (2, 'b', 2);
            """
        )
    connection.close()
    return where


def ask(place: Path, query: str, query_type: str | None = None, **others: Any) -> Called:
    arguments = {"operation": "query", "database": "a.db", "query": query, **others}
    if query_type is not None:
        arguments["query_type"] = query_type
    return call_tool("database-connector", arguments, read=[str(place)], write=[str(place)], directory=str(place))


def names(place: Path) -> list[str]:
    return [row["name"] for row in ask(place, "SELECT name FROM t ORDER BY id").output]


def test_rows_come_with_their_columns_names(place: Path) -> None:
    result = ask(place, "SELECT *, name FROM t ORDER BY id").result
    assert result.pop("execution_time_ms") >= 0
    assert result == {
        "database_type": "sqlite",
        "query": "SELECT *, name FROM t ORDER BY id",
        "status": "executed",
        "columns": ["id", "name", "n", "name_2"],
        "results": [{"id": 1, "name": "a", "n": 1.5, "name_2": "a"}, {"id": 2, "name": "b", "n": 2.0, "name_2": "b"}],
        "rows_affected": 2,
        "truncated": False,
    }
    assert ask(place, "SELECT x'00ff' AS b, 9e999 AS i, NULL AS n").output == [{"b": "AP8=", "i": "inf", "n": None}]


@pytest.mark.parametrize("name", ["a.db", "sqlite:///a.db", "sqlite:a.db", "sqlite:///{place}/a.db", "{place}/a.db"])
def test_a_file_may_be_named_in_many_ways(place: Path, name: str) -> None:
    assert ask(place, "SELECT 1 AS one", database=name.format(place=place)).output == [{"one": 1}]


def test_other_names_of_the_parameters(place: Path) -> None:
    inside = {"read": [str(place)], "directory": str(place)}
    arguments = {"operation": "query", "connection_string": "a.db", "sql": "SELECT id FROM t", "limit": 1}
    called = call_tool("database-connector", arguments, **inside)  # type: ignore[arg-type]
    assert (called.output, called.result["truncated"]) == ([{"id": 1}], True)
    variables = {"DATABASE_SQLITE_PATH": str(place / "a.db")}
    arguments = {"operation": "schema", "database": "sqlite"}
    called = call_tool("database-connector", arguments, read=[str(place)], env=[*variables], variables=variables)
    assert len(called.output) == 2
    with pytest.raises(Forbidden, match="DATABASE_SQLITE_PATH"):
        call_tool("database-connector", arguments, read=[str(place)], variables=variables)
    with pytest.raises(InvalidRequest, match="is not set"):
        call_tool("database-connector", arguments, env=["*"])


def test_functions_that_give_tables_can_be_asked(place: Path) -> None:
    assert ask(place, """SELECT value FROM json_each('["a", 2]')""").output == [{"value": "a"}, {"value": 2}]


def test_tables_are_told(place: Path) -> None:
    called = call_tool(
        "database-connector", {"operation": "schema", "database": str(place / "a.db")}, read=[str(place)]
    )
    log, t = called.output
    assert called.result["views"] == ["names"]
    assert t == {
        "name": "t",
        "columns": [
            {"name": "id", "type": "INTEGER", "nullable": True, "default": None, "primary_key": True},
            {"name": "name", "type": "TEXT", "nullable": False, "default": None, "primary_key": False},
            {"name": "n", "type": "REAL", "nullable": True, "default": "0", "primary_key": False},
        ],
        "primary_key": ["id"],
        "foreign_keys": [],
        "indexes": [{"name": "by_name", "columns": ["name"], "unique": True}],
    }
    assert log["foreign_keys"] == [{"columns": ["t"], "table": "t", "references": ["id"]}]


def test_values_go_beside_the_query(place: Path) -> None:
    evil = "x'); DROP TABLE t; --"
    assert ask(place, "INSERT INTO t (name) VALUES (:name)", "insert", values={"name": evil}).output == 1
    assert names(place)[-1] == evil
    assert ask(place, "SELECT id FROM t WHERE name = ? AND n < ?", params=["a", 5]).output == [{"id": 1}]
    # Without values, nothing in a text stands for one.
    assert ask(place, "SELECT ':name ? %s' AS it").output == [{"it": ":name ? %s"}]


def test_what_is_written_is_counted_and_kept(place: Path) -> None:
    assert ask(place, "UPDATE t SET n = n + 1", "UPDATE").output == 2
    assert ask(place, "INSERT INTO t VALUES (1, 'z', 0) ON CONFLICT DO UPDATE SET name = 'z'", "INSERT").output == 1
    assert ask(place, "INSERT OR REPLACE INTO t VALUES (2, 'y', 0)", "INSERT").output == 1
    assert ask(place, "DELETE FROM t WHERE id = 1 RETURNING name", "DELETE").output == [{"name": "z"}]
    assert names(place) == ["y"]
    assert "UNIQUE constraint" in ask(place, "INSERT INTO t (name) VALUES ('y')", "INSERT").said


def test_tables_are_made_changed_and_dropped(place: Path) -> None:
    assert ask(place, "CREATE TABLE x AS SELECT * FROM t", "CREATE", database="new.db").said
    for query in ("CREATE TABLE x AS SELECT * FROM t", "CREATE INDEX i ON x (n)", "CREATE VIEW v AS SELECT 1"):
        assert ask(place, query, "CREATE").result["status"] == "executed"
    assert ask(place, "ALTER TABLE x RENAME COLUMN n TO m", "ALTER").result["status"] == "executed"
    assert ask(place, "SELECT m FROM x WHERE id = 1").output == [{"m": 1.5}]
    assert ask(place, "DROP TABLE x", "DROP").result["status"] == "executed"
    assert ask(place, "CREATE TABLE y (a)", "CREATE", database="new.db").result["status"] == "executed"
    assert ask(place, "SELECT * FROM y", database="new.db").output == []


def test_what_a_trigger_does_belongs_to_the_statement(place: Path) -> None:
    trigger = "CREATE TRIGGER r AFTER DELETE ON t BEGIN INSERT INTO log VALUES ('gone', old.id); END"
    assert ask(place, trigger, "CREATE").result["status"] == "executed"
    assert ask(place, "DELETE FROM t WHERE id = 1", "DELETE").output == 1
    assert ask(place, "SELECT t FROM log").output == [{"t": 1}]


@pytest.mark.parametrize(
    ("query", "query_type", "does"),
    [
        ("DELETE FROM t", None, "DELETE"),
        ("/* SELECT */ UPDATE t SET n = 0", "SELECT", "UPDATE"),
        ("INSERT INTO t (name) VALUES ('x')", "SELECT", "INSERT"),
        ("WITH x AS (SELECT 1) DELETE FROM t", "SELECT", "DELETE"),
        ("UPDATE t SET n = 0", "INSERT", "UPDATE"),
        ("DELETE FROM t", "UPDATE", "DELETE"),
        ("DROP TABLE t", "DELETE", "DROP TABLE"),
        ("DROP TABLE t", "CREATE", "DROP TABLE"),
        ("DELETE FROM t", "DROP", "DELETE"),
        ("SELECT 1", "DELETE", "SELECT"),
        ("ATTACH 'b.db' AS b", "SELECT", "ATTACH"),
        ("ATTACH 'b.db' AS b", "CREATE", "ATTACH"),
        ("DETACH main", "DROP", "DETACH"),
        ("PRAGMA journal_mode = DELETE", "SELECT", "PRAGMA"),
        ("PRAGMA writable_schema = 1", "UPDATE", "PRAGMA"),
        ("SELECT * FROM pragma_table_info('t')", "SELECT", "PRAGMA"),
        ("SELECT load_extension('./evil')", "SELECT", "FUNCTION load_extension"),
        ("CREATE VIRTUAL TABLE f USING fts5 (a)", "CREATE", "CREATE VTABLE"),
        ("BEGIN", "UPDATE", "TRANSACTION"),
        ("COMMIT", "CREATE", "TRANSACTION"),
        ("SAVEPOINT s", "UPDATE", "SAVEPOINT"),
        ("UPDATE sqlite_master SET sql = 'x'", "UPDATE", None),
    ],
)
def test_a_statement_that_does_something_else_is_refused(
    place: Path, query: str, query_type: str | None, does: str | None
) -> None:
    before = (place / "a.db").read_bytes()
    if does is None:
        assert ask(place, query, query_type).said
    else:
        with pytest.raises(InvalidRequest, match=f"does {does}, and query_type is {query_type or 'SELECT'}"):
            ask(place, query, query_type)
    assert (place / "a.db").read_bytes() == before
    assert sorted(os.listdir(place)) == ["a.db"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT 1; DELETE FROM t", "one statement at a time"),
        ("VACUUM INTO 'copy.db'", "VACUUM"),
        ("SELECT nope", "no such column"),
        ("SELEC 1", "syntax error"),
        ("EXPLAIN SELECT 1", "syntax error"),
        ("SELECT writefile('b', 'x')", "no such function"),
    ],
)
def test_what_sqlite_refuses_is_the_call_s_failure(place: Path, query: str, why: str) -> None:
    assert why in ask(place, query).said
    assert sorted(os.listdir(place)) == ["a.db"]


def test_files_are_held_to_the_permissions(place: Path) -> None:
    outside = place.parent / "outside.db"
    outside.write_bytes((place / "a.db").read_bytes())
    (place / "link.db").symlink_to(outside)
    for name in (str(outside), "../outside.db", "link.db", "/etc/passwd"):
        with pytest.raises(Forbidden, match="Path not allowed"):
            ask(place, "SELECT 1", database=name)
    query = {"operation": "query", "database": str(place / "a.db"), "query": "DELETE FROM t", "query_type": "DELETE"}
    with pytest.raises(Forbidden, match="to write"):
        call_tool("database-connector", query, read=[str(place)])
    assert names(place) == ["a", "b"]
    with pytest.raises(Forbidden):
        ask(place, "CREATE TABLE x (a)", "CREATE", database="../made.db")
    assert not (place.parent / "made.db").exists()


def test_a_link_within_the_permissions_is_followed(place: Path) -> None:
    (place / "link.db").symlink_to("a.db")
    assert ask(place, "SELECT count(*) AS n FROM t", database="link.db").output == [{"n": 2}]


def test_a_database_grows_no_larger_than_a_file_may(place: Path) -> None:
    tables = {"file_operations": {"max_file_size": 100_000}}
    query = "INSERT INTO log SELECT hex(randomblob(1000)), 1 FROM t, t AS u, t AS v, t AS w, t AS x, t AS y, t AS z"
    arguments = {"operation": "query", "database": "a.db", "query": query, "query_type": "INSERT"}
    inside = [str(place)]
    called = call_tool("database-connector", arguments, read=inside, write=inside, directory=inside[0], tables=tables)
    assert "full" in called.said
    assert (place / "a.db").stat().st_size <= 100_000


def test_what_is_wrong_is_said(place: Path) -> None:
    (place / "text.db").write_text("This is no database, it is a text.")
    assert "is not an SQLite file" in ask(place, "SELECT 1", database="text.db").said
    data = bytearray((place / "a.db").read_bytes())
    data[100:3000] = bytes(2900)
    (place / "broken.db").write_bytes(data)
    assert ask(place, "SELECT * FROM t", database="broken.db").said
    for name in ("absent.db", "sub/absent.db"):
        for query, query_type in (("SELECT 1", "SELECT"), ("DELETE FROM t", "DELETE")):
            failure = ask(place, query, query_type, database=name).failure
            assert failure is not None
            assert failure.code == "not_found"
    assert not (place / "absent.db").exists()
    for arguments in (
        {"operation": "query", "query": "SELECT 1"},
        {"operation": "query", "database": "a.db"},
        {"operation": "query", "database": "a.db", "query": " "},
        {"operation": "query", "database": ":memory:", "query": "SELECT 1"},
        {"operation": "query", "database": "sqlite://host/a.db", "query": "SELECT 1"},
        {"operation": "query", "database": "a.db", "query": "SELECT 1", "query_type": "MERGE"},
        {"operation": "dump", "database": "a.db"},
        {"database": "a.db"},
    ):
        with pytest.raises(InvalidRequest):
            call_tool("database-connector", arguments, read=[str(place)], directory=str(place))


@pytest.mark.parametrize(
    "address", ["mysql://u:p@h/d", "mariadb://h/d", "mysql+pymysql://h/d", "oracle://h/d", "mssql://h"]
)
def test_other_databases_are_not_supported(address: str) -> None:
    with pytest.raises(Unsupported, match="not supported"):
        call_tool("database-connector", {"operation": "query", "database": address, "query": "SELECT 1"})


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://h",
        "postgresql:///d",
        "postgresql://%2Frun%2Fpostgresql/d",
        "postgresql://h:99999/d",
        "postgresql://h,i/d",
        "postgresql://h/d?host=/run/postgresql",
        "postgresql://h/d?hostaddr=10.0.0.1",
        "postgresql://h/d?service=x",
        "postgresql://h/d?passfile=/etc/passwd",
        "postgresql://h/d?sslkey=/etc/key",
        "postgresql://h/d?options=-crole%3Dx",
    ],
)
def test_an_address_names_a_host_and_nothing_of_this_machine(address: str) -> None:
    with pytest.raises(InvalidRequest, match="the database's address"):
        call_tool("database-connector", {"operation": "query", "database": address, "query": "SELECT 1"}, net=["*"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_a_changed_file_is_read_or_refused(place: Path, data: st.DataObject) -> None:
    changed = bytearray((place / "a.db").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(16, 4200))] = data.draw(st.integers(0, 255))
    (place / "changed.db").write_bytes(changed)
    ask(place, "SELECT * FROM t", database="changed.db")
    ask(place, "INSERT INTO t (name) VALUES ('x')", "INSERT", database="changed.db")
    arguments = {"operation": "schema", "database": str(place / "changed.db")}
    call_tool("database-connector", arguments, read=[str(place)])
