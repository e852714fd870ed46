"""Times as replies have them."""

from __future__ import annotations

from datetime import UTC, datetime

from llmspell_kernel.times import now_text, time_text


def test_a_time_is_utc_with_milliseconds() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000Z"
    assert time_text(1769860800.1239) == "2026-01-31T12:00:00.123Z"


def test_now_is_between_before_and_after() -> None:
    before = time_text(datetime.now(UTC).timestamp())
    assert before <= now_text() <= time_text(datetime.now(UTC).timestamp() + 1)
