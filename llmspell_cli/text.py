"""Numbers as people read them: sizes, durations, counts; and rows in aligned columns. Text in, text out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

_UNITS = ("kB", "MB", "GB", "TB", "PB")


def size(count: float | None, *, decimals_below: float = 100) -> str:
    """Bytes in decimal units: `98.4 MB`, `212 MB`; `-` for None. One decimal below `decimals_below` units."""
    if count is None:
        return "-"
    if count < 1000:
        return f"{count:.0f} B"
    value, units = count / 1000, iter(_UNITS)
    unit = next(units)
    while value >= 999.5:
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}" if round(value, 1) < decimals_below else f"{value:.0f} {unit}"


def parameters(count: int | None) -> str:
    """A number of parameters: `134.5M`, `8.0B`."""
    if count is None:
        return "-"
    return f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.1f}M"


def duration(seconds: float) -> str:
    """Two units at most: `45s`, `4m 32s`, `2h 15m`, `3d 4h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60}m"
    return f"{whole // 86400}d {whole % 86400 // 3600}h"


def short_time(milliseconds: float | None) -> str:
    """`38 ms`, `1.0 s`."""
    if milliseconds is None:
        return "-"
    return f"{milliseconds / 1000:.1f} s" if milliseconds >= 1000 else f"{milliseconds:.0f} ms"


def date(stamp: str | None) -> str:
    """`2025-10-12 10:15` for an ISO 8601 time."""
    return stamp[:16].replace("T", " ") if stamp else "-"


def home_path(path: str | None) -> str:
    """A path with the user's home as `~`."""
    if not path:
        return "-"
    home = str(Path.home())
    return "~" + path.removeprefix(home) if path == home or path.startswith(home + os.sep) else path


def columns(rows: Sequence[Sequence[str]], *, gap: int = 2) -> list[str]:
    """One line a row, cells aligned to the left; a row's last cell needs no room, so it widens no column."""
    widths = [0] * max(map(len, rows), default=0)
    for row in rows:
        for at, cell in enumerate(row[:-1]):
            widths[at] = max(widths[at], len(cell))
    padded = ((cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows)
    return [(" " * gap).join(cells).rstrip() for cells in padded]


def properties(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """`Name:   value` lines with aligned values."""
    width = max(len(name) for name, _ in pairs) + 1
    return [f"{name + ':':<{width}}  {value}" for name, value in pairs]
