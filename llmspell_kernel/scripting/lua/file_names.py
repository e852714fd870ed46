"""Names of files and modules that a text in code could go on with. Tells of nothing that a script may not read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice

MOST = 1_000
_LOOKED_AT = 20_000
"""Entries of one directory that are looked at."""


class FileNames:
    """What can be seen from `directory`, below one of `places`: absolute directories, `*` for everything."""

    def __init__(self, directory: str | None, places: Sequence[str]) -> None:
        self._directory = directory
        self._places = [os.path.realpath("/" if place == "*" else place) for place in places]

    def paths(self, text: str) -> list[str]:
        """The last parts of paths that begin with a text, directories with a slash; hidden ones where it asks so."""
        where, _, begun = text.rpartition("/")
        if "/" in text and not where:
            where = "/"
        found = (
            f"{entry.name}/" if entry.is_dir() else entry.name
            for entry in self._entries(where)
            if entry.name.startswith(begun) and (begun or not entry.name.startswith("."))
        )
        return sorted(islice(found, MOST))

    def modules(self, text: str, search_path: str) -> list[str]:
        """The names that `require` finds by `package.path`, from a text on."""
        package, _, begun = text.rpartition(".")
        inside = f"{package.replace('.', '/')}/" if package else ""
        names: set[str] = set()
        for template in search_path.split(";"):
            before, mark, behind = template.partition("?")
            if not mark or not before.endswith("/"):
                continue
            for entry in self._entries(before + inside):
                name = entry.name
                if behind.startswith("/"):
                    is_module = entry.is_dir() and os.path.isfile(entry.path + behind)
                else:
                    is_module = name.endswith(behind) and entry.is_file()
                    name = name.removesuffix(behind)
                if is_module and name.startswith(begun) and "." not in name and len(names) < MOST:
                    names.add(f"{package}.{name}" if package else name)
        return sorted(names)

    def _entries(self, directory: str) -> Iterator[os.DirEntry[str]]:
        if self._directory is None or "\0" in directory:
            return
        full = os.path.realpath(os.path.join(self._directory, directory or "."))
        if not any(full == place or full.startswith(f"{place.rstrip('/')}/") for place in self._places):
            return
        try:
            with os.scandir(full) as entries:
                for entry in islice(entries, _LOOKED_AT):
                    if entry.name.isprintable():
                        yield entry
        except OSError:
            return  # What can't be listed has no names.
