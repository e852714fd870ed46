"""Durations as people write them. The one parser of settings, requests and commands."""

import re

_SECONDS_IN = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_PART = r"(\d+)(ms|s|m|h)"


def duration_seconds(text: str) -> float:
    """Seconds in `90s`, `5m`, `1h30m`, `300ms`.

    Raises:
        ValueError: it is none of these.
    """
    parts = re.findall(_PART, text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(text)
    return float(sum(int(number) * _SECONDS_IN[unit] for number, unit in parts))
