"""Which session a request is recorded in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.sessions import rows
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
