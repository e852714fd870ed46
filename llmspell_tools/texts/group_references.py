"""References to groups in the replacement of a regular expression: `$1`, `${name}`, `\\1`, `\\g<name>`, `$$`."""

from __future__ import annotations

import re

_REFERENCE = re.compile(r"\$\$|\$(\d{1,2})|\$\{(\w+)\}|\\(\d{1,2})|\\g<(\w+)>")


def parts_of(replacement: str) -> list[str | re.Match[str]]:
    """A replacement as plain texts and references to groups."""
    parts: list[str | re.Match[str]] = []
    end = 0
    for reference in _REFERENCE.finditer(replacement):
        parts += [replacement[end : reference.start()], reference]
        end = reference.end()
    return [*parts, replacement[end:]]


def group_text(found: re.Match[str], reference: re.Match[str]) -> str:
    """What a reference stands for; one to a group that the pattern doesn't have is plain text."""
    if reference[0] == "$$":
        return "$"
    name = next(group for group in reference.groups() if group is not None)
    try:
        return found[int(name) if name.isdigit() else name] or ""
    except (IndexError, ValueError):
        return reference[0]
