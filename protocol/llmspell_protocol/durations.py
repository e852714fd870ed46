"""Spans of time as people read them, the same from every part that mentions one. Text for eyes, never parsed again."""

from __future__ import annotations


def duration_text(seconds: float) -> str:
    """Seconds, rounded, in two units at most: `45s`, `4m 32s`, `2h 15m`, `3d 4h`; never less than `0s`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"
