"""Artifacts by what they have in common, page by page, the oldest first. Works on a connection of the caller's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from llmspell_kernel.services.sessions.artifacts import SELECT, metadata_of
from llmspell_protocol.areas.artifact import ArtifactMetadata, ArtifactQuery
from llmspell_protocol.errors import InvalidRequest

DEFAULT_PAGE = 500
LONGEST_PAGE = 1000
"""Artifacts of one reply."""
PAGE_CHARACTERS = 4 * 1024 * 1024
"""Of what people and scripts have written beside the artifacts of one reply; a single one may have more."""


class Found(NamedTuple):
    """An artifact in the order of queries."""

    created_at: float
    metadata: ArtifactMetadata

    @property
    def place(self) -> tuple[float, str, int]:
        """Where it stands in that order; no other artifact stands there."""
        return self.created_at, self.metadata.id.session_id, self.metadata.id.sequence

    @property
    def cursor(self) -> str:
        """The same as a text."""
        return "/".join(map(str, self.place))


def page(found: Iterable[Found], wanted: ArtifactQuery) -> tuple[list[ArtifactMetadata], str | None]:
    """As many of the artifacts that fit as are wanted and a message holds, the oldest first, and the cursor of the last
    one where there are more."""
    ordered = sorted(found, key=lambda one: one.place)
    chosen, size = 0, 0
    for one in ordered[: most(wanted)]:
        size += len(json.dumps(one.metadata.custom)) + len(one.metadata.description)
        if chosen and size > PAGE_CHARACTERS:
            break
        chosen += 1
    cursor = ordered[chosen - 1].cursor if chosen < len(ordered) else None
    return [one.metadata for one in ordered[:chosen]], cursor


def most(wanted: ArtifactQuery) -> int:
    """How many artifacts one reply may have."""
    return min(wanted.limit or DEFAULT_PAGE, LONGEST_PAGE)


def query(connection: sqlite3.Connection, key_id: str, wanted: ArtifactQuery, session: str | None) -> list[Found]:
    """The artifacts of a key's sessions, or of one, that fit; the oldest first, one more than a reply may have.

    Raises:
        InvalidRequest: a time that is none, or a cursor that is none.
    """
    after, before = _time("created_after", wanted.created_after), _time("created_before", wanted.created_before)
    where: str = "sessions.key_id = ?"
    values: list[Any] = [key_id]
    if session is not None:
        where, values = f"{where} AND artifacts.session_id = ?", [*values, session]
    if wanted.after is not None:
        where = f"{where} AND (artifacts.created_at, artifacts.session_id, sequence) > (?, ?, ?)"
        values = [*values, *_place_in(wanted.after)]
    found: list[Found] = []
    order = "artifacts.created_at, artifacts.session_id, sequence"
    for row in connection.execute(f"{SELECT} WHERE {where} ORDER BY {order}", values):
        one, created_at = metadata_of(row), row[10]
        fits = (
            wanted.type in (None, one.artifact_type)
            and (wanted.name_pattern is None or fnmatchcase(one.name, wanted.name_pattern))
            and set(wanted.tags) <= set(one.tags)
            and (after is None or created_at > after)
            and (before is None or created_at < before)
            and (wanted.min_size is None or one.size >= wanted.min_size)
            and (wanted.max_size is None or one.size <= wanted.max_size)
        )
        if fits:
            found.append(Found(created_at, one))
            if len(found) > most(wanted):
                break
    return found


def _place_in(cursor: str) -> tuple[float, str, int]:
    try:
        created_at, session, sequence = cursor.split("/")
        return float(created_at), session, int(sequence)
    except ValueError:
        raise InvalidRequest(f"after: '{cursor[:80]}' is not what a reply before has as its next") from None


def _time(name: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{name}: '{text[:40]}' is no time", hint="such as 2026-01-31T12:00:00Z") from None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
