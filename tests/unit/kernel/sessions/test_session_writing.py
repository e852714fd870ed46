"""What waits to be written: in order, bounded, and told where it could not be."""

from __future__ import annotations

import asyncio
import base64
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.sessions import finding, rows, steps, writing
from llmspell_kernel.services.sessions.records import Begun, Closed, Ended, Opened, Target
from llmspell_kernel.services.sessions.writing import Writing
from llmspell_profiles.credentials.redaction import Redactor

TARGET = Target("conn", "id-1", name="s", kind="script")
LIMITS = rows.Limits(sessions=0, age_s=0.0, bytes=0, idle_s=3600.0)


def run(body: Callable[[Writing], Awaitable[None]], path: Path | None = None) -> None:
    async def main() -> None:
        kept = Writing(path, redactor=Redactor, limits=lambda: LIMITS)
        try:
            await body(kept)
        finally:
            await kept.close()

    asyncio.run(main())


def begun(step: str, content: dict[Any, Any] | None = None) -> Begun:
    return Begun(TARGET, step, None, "execute_request", "", content or {"code": step}, {}, 1.0)


def ended(step: str) -> Ended:
    return Ended(TARGET, step, {"status": "ok"}, (), {}, 1.0)


async def seen(kept: Writing) -> list[str]:
    found = await kept.read(lambda connection: list(steps.of_session(connection, "id-1")))
    return [str(step.content["code"]) for step in found]


def test_what_is_read_has_everything_that_was_put_before() -> None:
    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        names = [str(number) for number in range(500)]
        for name in names:
            assert kept.put(begun(name))
            assert kept.put(ended(name))
        assert await seen(kept) == names

    run(body)


def test_an_entry_that_can_not_be_written_takes_no_other_with_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(dict[Any, Any]):
        def items(self) -> Any:
            raise RuntimeError("changed while it was read")

    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        kept.put(begun("a"))
        kept.put(begun("b", Broken(code="b")))
        kept.put(begun("c"))
        assert await seen(kept) == ["a", "c"]
        kept.put(begun("d"))
        row = await kept.read(lambda connection: rows.by_id(connection, "conn", "id-1"))
        assert row is not None
        assert row.dropped == 1

    with caplog.at_level(logging.WARNING):
        run(body)
    assert "1 entries of sessions are not recorded: a defect of llmspell" in caplog.text


def test_what_has_no_room_is_refused_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_WAITING_CHARACTERS", 10_000)

    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        assert kept.put(begun("small"))
        assert not kept.put(begun("large", {"code": ["x" * 20_000]}))
        assert await seen(kept) == ["small"]
        row = await kept.read(lambda connection: rows.by_id(connection, "conn", "id-1"))
        assert row is not None
        assert row.dropped == 1

    run(body)


def test_a_file_that_can_not_be_written_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "sessions.db"
    path.mkdir()

    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        assert kept.put(begun("a"))
        await kept.flush()

    with caplog.at_level(logging.WARNING):
        run(body, path)
    assert "2 entries of sessions are not recorded: " in caplog.text


def words(seed: int, characters: int) -> str:
    found = random.Random(seed)
    return "".join(found.choices("abcdefghijklmnopqrstuvwxyz     ", k=characters))


def test_a_file_is_no_larger_than_sessions_may_be_together(tmp_path: Path) -> None:
    """What can be searched counts, long texts are cut for it, and what was ended leaves the file."""
    path = tmp_path / "sessions.db"
    limits = LIMITS._replace(bytes=1_000_000)

    async def main() -> None:
        kept = Writing(path, redactor=Redactor, limits=lambda: limits)
        for at in range(40):
            target = Target("conn", f"id-{at}", name=str(at), kind="script")
            kept.put(Opened(target))
            code = {"code": words(at, 50_000) + "\nlast"}
            kept.put(begun(f"{at}", code)._replace(target=target))
            kept.put(ended(f"{at}")._replace(target=target, printed={"stdout": f"found{at}"}))
            kept.put(Closed(target))
        rest = await kept.read(lambda connection: rows.listed(connection, "conn"))
        assert 10 < len(rest) < 40
        assert all(row.steps_bytes > 35_000 for row in rest)
        for word, count in (("found39", 1), ("found0", 0), ("last", 0)):
            found = await kept.read(lambda connection, word=word: finding.search(connection, "conn", [word], 10))
            assert len(found) == count, word
        await kept.close()

    asyncio.run(main())
    assert path.stat().st_size < 1_500_000


def test_what_is_deleted_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"

    def gone(connection: sqlite3.Connection) -> None:
        rows.delete(connection, "id-1")
        rows.free_pages(connection)

    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        for at in range(40):
            kept.put(begun(str(at), {"code": words(at, 50_000)}))
        await kept.write(lambda connection: None)
        await kept.write(gone)

    run(body, path)
    assert path.stat().st_size < 300_000


def test_secrets_are_taken_out_of_buffers_too() -> None:
    async def body(kept: Writing) -> None:
        kept.put(Opened(TARGET))
        kept.put(begun("a"))
        kept.put(ended("a")._replace(buffers=[b"key sk-abcdefgh12345", b"\xff\x00"]))
        [step] = await kept.read(lambda connection: list(steps.of_session(connection, "id-1")))
        assert [base64.b64decode(one) for one in step.buffers] == [b"key ***", b"\xff\x00"]

    run(body)
