"""A line that is typed for the debugger: the command and what stands behind it. Knows no commands."""

from __future__ import annotations

import re

_BEFORE = re.compile(r"\A\s*(?:(?:db|debug):|\.)\s*")


def command_and_rest(line: str) -> tuple[str, str]:
    """The word that a line begins with, behind `db:`, `debug:` or a dot, and the rest; both may be empty."""
    word, _, rest = _BEFORE.sub("", line).strip().partition(" ")
    return word, rest.strip()
