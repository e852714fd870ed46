"""How an input could go on at the cursor, as Tab offers it. Knows files, neither commands nor a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple


class Candidates(NamedTuple):
    """Texts that could stand where the input's text from `start` to the cursor stands now."""

    texts: Sequence[str]
    start: int


Offer = Callable[[str, int], Candidates]
"""What Tab offers for an input with the cursor at this character."""


def beginning_with(names: Iterable[str], typed: str) -> list[str]:
    """The names that go on from what is typed, sorted."""
    return sorted(name for name in names if name.startswith(typed))


def paths(typed: str, *, directories_only: bool = False) -> list[str]:
    """Files and directories that the path typed may become; a directory ends with a slash, `~` stays as it is."""
    directory, name = os.path.split(typed)
    try:
        entries = list(os.scandir(os.path.expanduser(directory) or "."))
    except OSError:
        return []  # No such directory: nothing to offer.
    prefix = typed[: len(typed) - len(name)]
    return sorted(
        prefix + entry.name + "/" * entry.is_dir()
        for entry in entries
        if entry.name.startswith(name)
        and (name or not entry.name.startswith("."))
        and (entry.is_dir() or not directories_only)
    )
