"""database-connector and a real PostgreSQL server: rows, types, tables, and statements that aren't what they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.postgresql import PostgreSQL, programs, server
from tests.support.tool_calls import Called, call_tool

PROGRAMS = programs()
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL is not installed (apt-get install postgresql)")


@pytest.fixture(scope="module")
def database() -> Iterator[PostgreSQL]:
    assert PROGRAMS is not None
    with server(PROGRAMS) as running:
        ask(running, "CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL, n integer DEFAULT 0)", "CREATE")
        yield running


@pytest.fixture(autouse=True)
def two_rows(database: PostgreSQL) -> None:
    ask(database, "DELETE FROM t", "DELETE")
    ask(database, "INSERT INTO t (id, name, n) VALUES (1, 'a', 1), (2, 'b', 2)", "INSERT")


def ask(database: PostgreSQL, query: str, query_type: str = "SELECT", url: str = "", **others: Any) -> Called:
    """A query with the settings' defaults: the server's host is one of `tools.database.allowed_hosts`."""
    arguments = {"operation": "query", "database": url or database.url(), "query": query, "query_type": query_type}
    return call_tool("database-connector", {**arguments, **others}, net=["*"], blocked=["localhost", "127.0.0.1"])


def names(database: PostgreSQL) -> list[str]:
    return [row["name"] for row in ask(database, "SELECT name FROM t ORDER BY id").result["results"]]


def test_rows_come_with_their_columns_names(database: PostgreSQL) -> None:
    result = ask(database, "SELECT id, name, name FROM t ORDER BY id").result
    assert result["results"] == [{"id": 1, "name": "a", "name_2": "a"}, {"id": 2, "name": "b", "name_2": "b"}]
    assert (result["database_type"], result["status"], result["rows_affected"]) == ("postgresql", "executed", 2)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("12::numeric", 12),
        ("1.25::numeric", 1.25),
        ("0.1234567890123456789::numeric", "0.1234567890123456789"),
        ("'NaN'::float8", "nan"),
        ("date '2026-01-02'", "2026-01-02"),
        ("timestamptz '2026-01-02 03:04:05+00' AT TIME ZONE 'UTC'", "2026-01-02T03:04:05"),
        ("interval '90 s'", 90),
        (r"'\x00ff'::bytea", "AP8="),
        ("array[1, 2]", [1, 2]),
        ("""'{"a": [1]}'::jsonb""", {"a": [1]}),
        ("'00000000-0000-0000-0000-000000000001'::uuid", "00000000-0000-0000-0000-000000000001"),
        ("null::text", None),
        ("'100%' || ':x'", "100%:x"),
    ],
)
def test_values_are_plain(database: PostgreSQL, expression: str, value: Any) -> None:
    assert ask(database, f"SELECT {expression} AS it").result["results"] == [{"it": value}]


def test_values_go_beside_the_query(database: PostgreSQL) -> None:
    evil = "x'); DROP TABLE t; --"
    query = "INSERT INTO t (id, name) VALUES (3, :name)"
    assert ask(database, query, "INSERT", values={"name": evil}).output == 1
    assert names(database)[-1] == evil
    found = ask(database, "SELECT id FROM t WHERE name = %s AND n < %s", params=["a", 5])
    assert found.output == [{"id": 1}]


def test_what_is_written_is_counted_and_kept(database: PostgreSQL) -> None:
    assert ask(database, "UPDATE t SET n = n + 1", "UPDATE").output == 2
    assert ask(database, "DELETE FROM t WHERE id = 1 RETURNING id", "DELETE").output == [{"id": 1}]
    assert names(database) == ["b"]


@pytest.mark.parametrize(
    ("query", "query_type"),
    [
        ("DELETE FROM t", "SELECT"),
        ("UPDATE t SET n = 0", "INSERT"),
        ("WITH gone AS (DELETE FROM t RETURNING 1) SELECT * FROM gone", "SELECT"),
        ("WITH gone AS (DELETE FROM t RETURNING id) INSERT INTO t (name) SELECT 'x' FROM gone", "INSERT"),
        ("/* SELECT */ DELETE FROM t", "SELECT"),
        ("-- SELECT\nDROP TABLE t", "SELECT"),
        ("COPY t TO '/tmp/llmspell-copied'", "SELECT"),
        ("DO $$ BEGIN DELETE FROM t; END $$", "SELECT"),
        ("DROP TABLE t", "CREATE"),
        ("SELECT 1", "DELETE"),
        ("COMMIT", "SELECT"),
        ("SET ROLE tester", "SELECT"),
    ],
)
def test_a_statement_that_does_something_else_is_refused(database: PostgreSQL, query: str, query_type: str) -> None:
    with pytest.raises(InvalidRequest, match=f"query_type is {query_type}"):
        ask(database, query, query_type)
    assert names(database) == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT 1; DELETE FROM t", "multiple commands"),
        ("SELECT 1; COMMIT; DELETE FROM t", "multiple commands"),
        ("SELECT * INTO t2 FROM t", "read-only transaction"),
        ("EXPLAIN ANALYZE DELETE FROM t", "read-only transaction"),
        ("SELECT nextval('t_id_seq')", "read-only transaction"),
        ("SELECT nope", "does not exist"),
    ],
)
def test_what_the_server_refuses_is_the_call_s_failure(database: PostgreSQL, query: str, why: str) -> None:
    assert why in ask(database, query).said
    assert names(database) == ["a", "b"]


def test_no_more_rows_come_than_are_wanted(database: PostgreSQL) -> None:
    result = ask(database, "SELECT * FROM generate_series(1, 5000) AS n", max_rows=3).result
    assert (result["results"], result["truncated"]) == ([{"n": 1}, {"n": 2}, {"n": 3}], True)


def test_tables_are_told(database: PostgreSQL) -> None:
    called = call_tool("database-connector", {"operation": "schema", "database": database.url()}, net=["127.0.0.1"])
    [table] = called.result["tables"]
    assert (table["name"], table["primary_key"]) == ("t", ["id"])
    assert [(column["name"], column["type"], column["nullable"]) for column in table["columns"]] == [
        ("id", "INTEGER", False),
        ("name", "TEXT", False),
        ("n", "INTEGER", True),
    ]


def test_a_query_ends_when_its_time_is_over(database: PostgreSQL) -> None:
    tables = {"database": {"allowed_hosts": ["127.0.0.1"], "query_timeout_seconds": 1}}
    arguments = {"operation": "query", "database": database.url(), "query": "SELECT pg_sleep(60)"}
    assert "statement timeout" in call_tool("database-connector", arguments, net=["*"], tables=tables).said


def test_a_wrong_password_is_told_without_it(database: PostgreSQL) -> None:
    said = ask(database, "SELECT 1", url=database.url(password="wrong one")).said
    assert "password authentication failed" in said
    assert "wrong one" not in said


def test_the_address_may_come_from_a_variable(database: PostgreSQL) -> None:
    variables = {"DATABASE_POSTGRESQL_URL": database.url()}
    arguments = {"operation": "query", "database": "postgresql", "query": "SELECT 1 AS one"}
    called = call_tool("database-connector", arguments, net=["*"], env=[*variables], variables=variables)
    assert called.output == [{"one": 1}]


def test_hosts_are_held_to_the_permissions(database: PostgreSQL) -> None:
    arguments = {"operation": "query", "database": database.url(), "query": "SELECT 1"}
    elsewhere = {"database": {"allowed_hosts": ["db.example.com"]}}
    with pytest.raises(Forbidden) as refused:
        call_tool("database-connector", arguments, net=["*"], tables=elsewhere)
    assert refused.value.details["setting"] == "tools.database.allowed_hosts"
    # No network at all: what the setting names doesn't help.
    with pytest.raises(Forbidden):
        call_tool("database-connector", arguments)
    assert (
        call_tool("database-connector", arguments, net=["127.0.0.1"], tables=elsewhere).result["status"] == "executed"
    )
