"""Which session a request is recorded in."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.sessions import rows, steps, writing
from llmspell_kernel.services.sessions.recorder import Recorded, Recorder
from llmspell_kernel.services.sessions.writing import Writing
from llmspell_profiles.credentials.redaction import Redactor
from tests.support.recording_sink import RecordingSink


def asked(key_id: str, parent: Request | None = None) -> Request:
    content: dict[str, Any] = {"action": "invoke", "tool": "calculator", "parameters": {}}
    caller = Caller(client="c", session="s", key_id=key_id, context="shared")
    return Request(id="1", msg_type="tool_request", content=content, caller=caller, sink=RecordingSink(), parent=parent)


def with_recorder(body: Callable[[Recorder], Awaitable[None]]) -> None:
    async def main() -> None:
        limits = rows.Limits(sessions=0, age_s=0.0, bytes=0, idle_s=3600.0)
        kept = Writing(None, redactor=Redactor, limits=lambda: limits)
        try:
            await body(Recorder(lambda: kept, lambda: kept))
        finally:
            await kept.close()

    asyncio.run(main())


def test_what_another_key_asks_below_a_request_is_no_part_of_its_session() -> None:
    async def body(recorder: Recorder) -> None:
        above = asked("owner")
        above.record = record = recorder.begin(above)
        assert isinstance(record, Recorded)
        below = recorder.begin(asked("owner", above))
        assert isinstance(below, Recorded)
        assert below.target == record.target
        assert recorder.begin(asked("guest", above)) is None

    with_recorder(body)


def test_what_had_no_room_has_no_parts_and_all_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(recorder: Recorder) -> None:
        first = recorder.begin(asked("owner"))
        assert isinstance(first, Recorded)
        monkeypatch.setattr(writing, "MOST_WAITING", 0)
        above = asked("owner")
        record = recorder.begin(above)
        assert isinstance(record, Recorded)
        monkeypatch.undo()
        record.below(asked("owner", above), "step").answered({}, ())
        later = first.below(asked("owner", above), "step")
        later.answered({"status": "ok"}, ())

        def look(connection: sqlite3.Connection) -> tuple[int, list[str]]:
            [row] = rows.listed(connection, "owner")
            return row.dropped, [step.label for step in steps.of_session(connection, row.id)]

        assert await first.writing.read(look) == (2, ["1", "1.1"])

    with_recorder(body)
