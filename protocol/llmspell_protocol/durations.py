"""Durations as people write and read them: the one parser of settings, requests and commands, and the one text."""

from __future__ import annotations

import re

_SECONDS_IN = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_PART = r"(\d+)(ms|s|m|h)"


def duration_seconds(text: str) -> float:
    """Seconds in `90s`, `5m`, `1h30m`, `300ms`.

    Raises:
        ValueError: another form.
    """
    parts = re.findall(_PART, text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return float(sum(int(number) * _SECONDS_IN[unit] for number, unit in parts))


def duration_text(seconds: float) -> str:
    """Seconds, rounded, in two units at most, for eyes: `45s`, `4m 32s`, `2h 15m`, `3d 4h`; never less than `0s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"
