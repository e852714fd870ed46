"""Cells that ask about a name: `LocalLLM.chat?`, as IPython has it, and `name??` with the source. They run nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from llmspell_kernel.scripting.context import Context

_HELP = re.compile(r"(\?{0,2})\s*([A-Za-z_][\w.:]*)\s*(\?{0,2})", re.ASCII)
_LONGEST = 200
"""Characters of such a cell: this looks at every cell, on the loop that everything else waits for."""


class Help(NamedTuple):
    """The name that is asked about, and whether its source is wanted."""

    name: str
    detailed: bool


def is_help(code: str) -> bool:
    """Whether a cell asks about a name."""
    return wanted_help(code) is not None


def wanted_help(code: str) -> Help | None:
    """What a cell asks about; None where it is code."""
    if "?" not in code:
        return None
    asked = code.strip()
    found = _HELP.fullmatch(asked) if len(asked) <= _LONGEST else None
    if found is None:
        return None
    before, name, behind = found.groups()
    return Help(name, "??" in (before, behind)) if before or behind else None


async def helped(context: Context, wanted: Help) -> dict[str, str]:
    """What is known, by MIME type; else that there is nothing."""
    data = await context.inspect(wanted.name, len(wanted.name), detailed=wanted.detailed)
    return data or {"text/plain": f"Nothing is known about '{wanted.name}'."}


def page(data: dict[str, str]) -> dict[str, object]:
    """The payload that shows this in the frontend's pager."""
    return {"source": "page", "data": data, "start": 0}
