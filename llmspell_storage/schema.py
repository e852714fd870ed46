"""The tables of one database, as the steps that made them. Knows nothing of files."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import NamedTuple

Migration = str | Callable[[sqlite3.Connection], None]
"""One step from a version to the next: SQL statements, or a function that changes what SQL can't.

It runs inside a transaction of its own and must not end it.
"""


class Schema(NamedTuple):
    """What a database holds. Its version is the number of migrations; those that were released are never changed.

    `name` stands in errors (`state`, `sessions`), and what it keeps is told by `holds` in words.
    """

    name: str
    holds: str
    migrations: Sequence[Migration]

    @property
    def version(self) -> int:
        """The version that this program reads and writes."""
        return len(self.migrations)


def statements(script: str) -> Sequence[str]:
    """The statements of a script; `executescript` would commit what is open."""
    found: list[str] = []
    rest = ""
    for line in script.splitlines(keepends=True):
        rest += line
        if sqlite3.complete_statement(rest):
            found.append(rest)
            rest = ""
    if rest.strip():
        found.append(rest)
    return found
