"""What a terminal shows of what it got."""

from __future__ import annotations

import pyte


def rendered(text: str, columns: int) -> list[str]:
    """The lines of a terminal of this width, after everything has scrolled by."""
    screen = pyte.Screen(columns, 2 * (text.count("\n") + len(text) // columns) + 10)
    pyte.Stream(screen).feed(text)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    return lines
