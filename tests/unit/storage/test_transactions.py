"""Transactions of several connections to one file."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from llmspell_storage import transactions
from llmspell_storage.transactions import in_turn, reading, writing


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
    return connection


def test_a_writer_gets_its_turn_beside_one_that_writes_without_a_pause(tmp_path: Path) -> None:
    busy, other = connected(tmp_path / "a.db"), connected(tmp_path / "a.db")
    ended = threading.Event()

    def write_on() -> None:
        while not ended.is_set():
            with writing(busy):
                busy.executemany("INSERT INTO numbers VALUES (?)", [(1,)] * 1_000)
                busy.execute("DELETE FROM numbers WHERE number = 1")

    thread = threading.Thread(target=write_on)
    thread.start()
    try:
        for _ in range(100):
            with writing(other):
                other.execute("INSERT INTO numbers VALUES (2)")
    finally:
        ended.set()
        thread.join()
    assert other.execute("SELECT count(*) FROM numbers").fetchone() == (100,)


def test_a_turn_is_tried_for_anew_and_not_slept_for_by_sqlite(tmp_path: Path) -> None:
    busy, other = connected(tmp_path / "a.db"), connected(tmp_path / "a.db")
    busy.execute("BEGIN IMMEDIATE")
    tries = 0

    def work() -> str:
        nonlocal tries
        tries += 1
        if tries == 3:
            busy.execute("COMMIT")
        other.execute("BEGIN IMMEDIATE")
        return "it was there"

    assert (in_turn(other, work), tries) == ("it was there", 3)


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    connection = connected(tmp_path / "a.db")

    def write_and_fail() -> None:
        with writing(connection):
            connection.execute("INSERT INTO numbers VALUES (1)")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (0,)


def test_a_view_is_of_one_moment(tmp_path: Path) -> None:
    reader, writer = connected(tmp_path / "a.db"), connected(tmp_path / "a.db")
    with reading(reader):
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
        with writing(writer):
            writer.execute("INSERT INTO numbers VALUES (1)")
        assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (0,)
    assert reader.execute("SELECT count(*) FROM numbers").fetchone() == (1,)


def test_waiting_for_a_writer_that_goes_on_ends_after_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "BUSY_TIMEOUT_S", 0.0)
    busy, other = connected(tmp_path / "a.db"), connected(tmp_path / "a.db")
    with (
        writing(busy),
        pytest.raises(sqlite3.OperationalError, match="locked"),
        writing(other),
    ):
        pytest.fail("two processes write at once")
    assert in_turn(other, lambda: other.execute("SELECT 1").fetchone()) == (1,)
