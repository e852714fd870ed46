"""Transactions: there as a whole or not at all, and begun in turn with other processes that write. Blocks."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from llmspell_storage.failures import BUSY_TIMEOUT_S

T = TypeVar("T")

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.0005, 0.003


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """A view of one moment."""
    connection.execute("BEGIN DEFERRED")
    with _ended(connection):
        yield


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that is committed at the block's end, or, where that raises, has changed nothing.

    Raises:
        sqlite3.OperationalError: SQLITE_BUSY, another process has been writing for `BUSY_TIMEOUT_S`.
    """
    in_turn(connection, lambda: connection.execute("BEGIN IMMEDIATE"))
    with _ended(connection):
        yield


def in_turn(connection: sqlite3.Connection, work: Callable[[], T]) -> T:
    """What `work` returns, which takes the database's lock; tried again while another process has that.

    SQLite's own wait sleeps for up to 100 ms, and never meets the moment between two transactions of a process that
    writes one after the other (https://www.sqlite.org/src/file/src/main.c, sqliteDefaultBusyCallback).
    """
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                is_busy = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not is_busy or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(_SHORTEST_WAIT_S, _LONGEST_WAIT_S))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")


@contextmanager
def _ended(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # Some errors of SQLite's have ended it already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
