"""Times as the protocol has them: UTC, ISO 8601, milliseconds, `Z` at the end. Knows nothing else."""

from __future__ import annotations

from datetime import UTC, datetime


def time_text(seconds: float) -> str:
    """A time in seconds since 1970."""
    return _text(datetime.fromtimestamp(seconds, UTC))


def now_text() -> str:
    """This moment."""
    return _text(datetime.now(UTC))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
