"""Steps: requests with their answers, read as people and replays need them.

Each function works on a connection inside a transaction of the caller's.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.services.sessions.packing import unpacked
from llmspell_kernel.services.sessions.records import (
    PART,
)


class Step(NamedTuple):
    """A recorded request; `reply` None: it has none."""

    id: str
    label: str
    """`2`, and `2.1` for what came of it"""
    msg_type: str
    action: str
    status: str
    started_at: float
    duration_ms: float | None
    content: Mapping[str, Any]
    options: Mapping[str, Any]
    reply: Mapping[str, Any] | None
    buffers: Sequence[str]
    """in base64"""
    is_readable: bool = True
    """false where the file is damaged here: content and options are empty then, and the reply is an error"""

    @property
    def is_root(self) -> bool:
        """Whether a client asked it."""
        return "." not in self.label

    @property
    def above(self) -> str:
        """The label of what it came of; empty where a client asked it."""
        return self.label.rpartition(".")[0]

    @property
    def ended_at(self) -> float:
        """When its answer came, in seconds since 1970; of one without an answer when it began."""
        return self.started_at + (self.duration_ms or 0.0) / 1000

    @property
    def is_part(self) -> bool:
        """Whether it is part of what is above it, as a turn of its model or a step of its workflow, and no request."""
        return self.options.get(PART) is True


def labels(connection: sqlite3.Connection, session: str) -> dict[str, str]:
    """The label of each step of a session by its id."""
    parents = dict(
        connection.execute("SELECT id, parent_id FROM steps WHERE session_id = ? ORDER BY number", (session,))
    )
    counts: Counter[str | None] = Counter()
    found: dict[str, str] = {}
    for id, parent in parents.items():
        above = parent if parent in found else None
        counts[above] += 1
        found[id] = str(counts[above]) if above is None else f"{found[above]}.{counts[above]}"
    return found


class Place(NamedTuple):
    """Where a step is."""

    id: str
    label: str

    @property
    def numbers(self) -> tuple[int, ...]:
        """Those of its label: by these steps are sorted, each with what came of it behind it."""
        return tuple(int(number) for number in self.label.split("."))


def order(connection: sqlite3.Connection, session: str) -> list[Place]:
    """All steps of a session, each with what came of it behind it."""
    return sorted((Place(*one) for one in labels(connection, session).items()), key=lambda place: place.numbers)


def each(connection: sqlite3.Connection, places: Iterable[Place]) -> Iterator[Step]:
    """The steps at these places, read one by one: all of a long session may be more than fits into memory."""
    for place in places:
        row = connection.execute(
            "SELECT id, msg_type, action, status, started_at, duration_ms, request, reply FROM steps WHERE id = ?",
            (place.id,),
        ).fetchone()
        if row is not None:
            yield _step(row, place.label)


def of_session(connection: sqlite3.Connection, session: str) -> Iterator[Step]:
    """All steps, each with what came of it behind it."""
    return each(connection, order(connection, session))


def times(connection: sqlite3.Connection, session: str) -> list[tuple[float, float | None, bool]]:
    """Of each request of a client's: when it began, how long it took in milliseconds, and whether it has a reply."""
    return [
        (started_at, duration_ms, bool(has_reply))
        for started_at, duration_ms, has_reply in connection.execute(
            "SELECT started_at, duration_ms, reply IS NOT NULL FROM steps WHERE session_id = ? AND parent_id IS NULL"
            " ORDER BY number",
            (session,),
        )
    ]


UNREADABLE = "what was recorded of this step can't be read"


def _step(row: Sequence[Any], label: str) -> Step:
    id, msg_type, action, status, started_at, duration_ms, request, reply = row
    step = Step(
        id=id,
        label=label,
        msg_type=msg_type,
        action=action,
        status=status,
        started_at=started_at,
        duration_ms=duration_ms,
        content={},
        options={},
        reply=None,
        buffers=(),
    )
    try:
        asked = unpacked(request)
        step = step._replace(content=map_in(asked, "content"), options=map_in(asked, "options"))
        if reply is not None:
            answer = unpacked(reply)
            step = step._replace(reply=map_in(answer, "content"), buffers=answer.get("buffers", ()))
    except ValueError:
        # It is told where it stands; the others are as they were.
        error = {"status": "error", "code": "storage_damaged", "message": UNREADABLE}
        return step._replace(content={}, options={}, reply=error, is_readable=False)
    return step


def map_in(packed: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The map of this name in what was unpacked; raises `ValueError` where there is none."""
    found = packed.get(name)
    if not isinstance(found, Mapping):
        raise ValueError(f"{name} is no map")
    return found


def totals(connection: sqlite3.Connection, session: str) -> tuple[int, int, int]:
    """How many requests of clients a session has, and the tokens of its prompts and replies."""
    (count,) = connection.execute(
        "SELECT count(*) FROM steps WHERE session_id = ? AND parent_id IS NULL", (session,)
    ).fetchone()
    prompt, reply = connection.execute(
        "SELECT coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0) FROM steps WHERE session_id = ?",
        (session,),
    ).fetchone()
    return int(count), int(prompt), int(reply)


def clean(text: str) -> str:
    """The text with U+FFFD for half characters, which a database does not take."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
