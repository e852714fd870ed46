"""Steps: requests with their answers, written as they come and read as people and replays need them.

Each function works on a connection inside a transaction of the caller's.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from llmspell_kernel.services.sessions import rows
from llmspell_kernel.services.sessions.packing import packed, unpacked
from llmspell_kernel.services.sessions.reading import Read, found_by, read
from llmspell_kernel.services.sessions.records import (
    PART,
    Begun,
    Closed,
    Dropped,
    Ended,
    Entry,
    Opened,
    Rested,
    Target,
)
from llmspell_kernel.services.sessions.words import excerpt, query, searchable
from llmspell_profiles.credentials.redaction import Redactor
from llmspell_protocol.request_options import LONGEST_SESSION

LONGEST_TEXT = 10_000
"""Characters of a question, and of an answer, that can be searched in."""
_INDEX = 2
"""What a text that can be searched takes of the file, to its bytes: with its words it was 1.7 to 2.5."""


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
    def is_part(self) -> bool:
        """Whether it is part of what is above it, as a turn of its model or a step of its workflow, and no request."""
        return self.options.get(PART) is True


def write(connection: sqlite3.Connection, batch: Sequence[Entry], redactor: Redactor, limits: rows.Limits) -> None:
    """Writes what has come, in its order, without the secrets in it."""
    for entry in batch:
        match entry:
            case Opened(target):
                _open(connection, target, redactor, limits)
            case Begun():
                _begin(connection, entry, redactor, limits)
            case Ended():
                _end(connection, entry, redactor)
            case Closed(target):
                _close(connection, target)
            case Rested(target):
                _rest(connection, target)
            case Dropped(target, count):
                if (id := _session(connection, target, redactor, limits)) is not None:
                    connection.execute("UPDATE sessions SET dropped = dropped + ? WHERE id = ?", (count, id))


def _open(connection: sqlite3.Connection, target: Target, redactor: Redactor, limits: rows.Limits) -> str:
    id = target.id or rows.new_id()
    name = clean(redactor.text(target.name or target.ref or ""))[:LONGEST_SESSION] or id[:8]
    rows.insert(connection, id=id, key_id=target.key_id, name=name, kind=target.kind)
    rows.retain(connection, limits, key_id=target.key_id, keep=id)
    return id


def _session(connection: sqlite3.Connection, target: Target, redactor: Redactor, limits: rows.Limits) -> str | None:
    """The id of the session that is meant, which is made where a name alone was given; None: it is gone."""
    if target.id is not None:
        found = rows.by_id(connection, target.key_id, target.id)
        return None if found is None else found.id
    wanted = target.ref or ""
    means = rows.candidates(connection, target.key_id, wanted)
    # Of several with one name the last used goes on; the beginnings of several ids are no id.
    if means and (len(means) == 1 or means[0].name == wanted):
        return means[0].id
    return _open(connection, target, redactor, limits)


def _begin(connection: sqlite3.Connection, entry: Begun, redactor: Redactor, limits: rows.Limits) -> None:
    session = _session(connection, entry.target, redactor, limits)
    if session is None:
        if entry.parent is not None:
            return
        # It was ended for room, or by another process: what a client asks goes on being recorded.
        session = _open(connection, entry.target, redactor, limits)
    content, options = redactor.value(entry.content), redactor.value(entry.options)
    request = packed({"content": content, "options": options})
    row = connection.execute(
        "INSERT INTO steps (id, session_id, parent_id, msg_type, action, status, started_at, request, model)"
        " VALUES (?, ?, ?, ?, ?, 'running', ?, ?, ?)",
        (
            *(entry.step, session, entry.parent, entry.msg_type, entry.action, entry.started_at, request),
            clean(str(content["model"])) if content.get("model") else None,
        ),
    )
    text = _words(entry.msg_type, content, options, None)
    connection.execute("INSERT INTO texts (rowid, text, session_id) VALUES (?, ?, ?)", (row.lastrowid, text, session))
    rows.touch(connection, session, size=len(request) + _index_bytes(text))


def _end(connection: sqlite3.Connection, entry: Ended, redactor: Redactor) -> None:
    found = connection.execute(
        "SELECT number, session_id, msg_type, request FROM steps WHERE id = ?", (entry.step,)
    ).fetchone()
    if found is None:
        return
    number, session, msg_type, request = found
    asked = unpacked(request)
    reply = redactor.value({**entry.content, **({"printed": dict(entry.printed)} if entry.printed else {})})
    data = packed(
        {
            "content": reply,
            **({"buffers": [redactor.data(bytes(one)) for one in entry.buffers]} if entry.buffers else {}),
        }
    )
    seen = read(msg_type, asked["content"], asked["options"], reply)
    status = "error" if seen.error is not None else "ok"
    connection.execute(
        "UPDATE steps SET status = ?, duration_ms = ?, reply = ?, model = coalesce(?, model), prompt_tokens = ?,"
        " completion_tokens = ? WHERE number = ?",
        (
            *(status, round(entry.duration_ms, 3), data, clean(seen.model) if seen.model else None),
            *((None, None) if _is_told_below(connection, entry.step, msg_type) else _tokens(seen)),
            number,
        ),
    )
    before = _words(msg_type, asked["content"], asked["options"], None)
    text = _words(msg_type, asked["content"], asked["options"], reply)
    connection.execute("UPDATE texts SET text = ? WHERE rowid = ?", (text, number))
    rows.touch(connection, session, size=len(data) + _index_bytes(text) - _index_bytes(before))


def _tokens(seen: Read) -> tuple[int | None, int | None]:
    return seen.prompt_tokens, seen.completion_tokens


def _is_told_below(connection: sqlite3.Connection, step: str, msg_type: str) -> bool:
    """Whether a step's tokens are those of the steps below it: an agent's turn is its model's replies together."""
    if msg_type != "agent_request":
        return False
    found = connection.execute(
        "SELECT 1 FROM steps WHERE parent_id = ? AND msg_type IN ('model_request', 'agent_request')"
        " AND prompt_tokens IS NOT NULL LIMIT 1",
        (step,),
    )
    return found.fetchone() is not None


def _close(connection: sqlite3.Connection, target: Target) -> None:
    if target.id is None or rows.by_id(connection, target.key_id, target.id) is None:
        return
    last = connection.execute(
        "SELECT status FROM steps WHERE session_id = ? AND parent_id IS NULL ORDER BY number DESC LIMIT 1",
        (target.id,),
    ).fetchone()
    connection.execute(
        "UPDATE sessions SET status = ? WHERE id = ? AND status IN ('active', 'suspended')",
        ("failed" if last is not None and last[0] == "error" else "completed", target.id),
    )


def _rest(connection: sqlite3.Connection, target: Target) -> None:
    means = rows.candidates(connection, target.key_id, target.ref or "")
    if means and means[0].status == "active":
        rows.set_status(connection, means[0].id, "suspended")


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
        step = step._replace(content=_map(asked, "content"), options=_map(asked, "options"))
        if reply is not None:
            answer = unpacked(reply)
            step = step._replace(reply=_map(answer, "content"), buffers=answer.get("buffers", ()))
    except ValueError:
        # It is told where it stands; the others are as they were.
        error = {"status": "error", "code": "storage_damaged", "message": UNREADABLE}
        return step._replace(content={}, options={}, reply=error, is_readable=False)
    return step


def _map(packed: Mapping[str, Any], name: str) -> Mapping[str, Any]:
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


def search(
    connection: sqlite3.Connection, key_id: str, words: Sequence[str], limit: int
) -> list[tuple[str, str, str, float, str]]:
    """Session, its name, the step's id, when, and the text around the words: steps in which all of them stand."""
    found = connection.execute(
        "SELECT sessions.id, sessions.name, steps.id, steps.started_at, msg_type, request, reply"
        " FROM texts JOIN steps ON steps.number = texts.rowid JOIN sessions ON sessions.id = steps.session_id"
        " WHERE texts MATCH ? AND sessions.key_id = ? ORDER BY bm25(texts), steps.number DESC LIMIT ?",
        (query(words), key_id, limit),
    )
    return [(*about, excerpt(_text(msg_type, request, reply), words)) for *about, msg_type, request, reply in found]


def _text(msg_type: str, request: bytes, reply: bytes | None) -> str:
    """What a step can be found by, as it was written; empty where it can't be read."""
    try:
        asked = unpacked(request)
        answer = None if reply is None else _map(unpacked(reply), "content")
        return _searched(*found_by(msg_type, _map(asked, "content"), _map(asked, "options"), answer))
    except ValueError:
        return ""


def clean(text: str) -> str:
    """The text with U+FFFD for half characters, which a database does not take."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _words(
    msg_type: str, content: Mapping[str, Any], options: Mapping[str, Any], reply: Mapping[str, Any] | None
) -> str:
    return searchable(_searched(*found_by(msg_type, content, options, reply)))


def _searched(*texts: str | None) -> str:
    return clean("\n".join(text[:LONGEST_TEXT] for text in texts if text))


def _index_bytes(text: str) -> int:
    return _INDEX * len(text.encode())
