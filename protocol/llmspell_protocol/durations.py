"""Durations as people write and read them: the one parser of settings, requests and commands, and the one text."""

from __future__ import annotations

from llmspell_protocol.numbers import from_text, is_number

LONGEST_S = 3_155_760_000
"""A hundred years: what clocks, dates and system calls can still count with."""

FORMS = 'seconds, or a text such as "90s", "5m", "1h30m"'

_SECONDS_IN = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_PART = r"([0-9]{1,12})(ms|s|m|h)"


def duration_seconds(text: str) -> float:
    """Seconds in `90s`, `5m`, `1h30m`, `300ms`; a hundred years at most.

    Raises:
        ValueError: another form, or more.
    """
    # Few processes read durations, and all know this module.
    import re

    parts = re.findall(_PART, text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    seconds = float(sum(int(number) * _SECONDS_IN[unit] for number, unit in parts))
    if seconds > LONGEST_S:
        raise ValueError(text)
    return seconds


def read_seconds(value: object) -> float:
    """Seconds from a number, or from a text that is one or has units; less than 0 may mean "never" to the caller.

    Raises:
        ValueError: neither, no finite number, or more than a hundred years.
    """
    if isinstance(value, str):
        seconds = from_text(value)
        return duration_seconds(value.strip()) if seconds is None else read_seconds(seconds)
    if not is_number(value):
        raise ValueError(value)
    assert isinstance(value, (int, float))
    if value > LONGEST_S:
        raise ValueError(value)
    return float(value)


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
