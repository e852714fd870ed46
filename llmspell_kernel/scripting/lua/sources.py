"""What was loaded under which name, so that an error can show the line that it comes from."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence

MAX_BYTES = 4_000_000
"""The sources that are kept together; the oldest go first."""
MAX_LINE_CHARACTERS = 160

_POSITION = re.compile(r"(.+?):(\d+): ", re.DOTALL)


class Sources:
    """Sources by chunk name, without Lua's `@`."""

    def __init__(self) -> None:
        self._by_name: OrderedDict[str, bytes] = OrderedDict()
        self._paths: dict[str, str | None] = {}
        self._cell_paths: dict[str, str] = {}
        """Paths that were made of texts; a long one takes a while."""
        self._size = 0
        self.on_keep: Callable[[str, bytes, str | None], None] | None = None
        """Hears of each source that is kept, with its name and its path."""

    def keep(self, name: str, source: bytes, path: str | None = None) -> None:
        """Remembers what this name stands for from here on; `path` is absolute, and None for what is in no file."""
        self._size -= len(self._by_name.pop(name, b""))
        self._by_name[name] = source
        self._paths[name] = path
        self._cell_paths.pop(name, None)
        self._size += len(source)
        while self._size > MAX_BYTES:
            oldest, its_source = self._by_name.popitem(last=False)
            del self._paths[oldest]
            self._cell_paths.pop(oldest, None)
            self._size -= len(its_source)
        if self.on_keep is not None:
            self.on_keep(name, source, path)

    def all(self) -> Sequence[tuple[str, bytes, str | None]]:
        """Names, sources and paths, the oldest first."""
        return [(name, source, self._paths[name]) for name, source in self._by_name.items()]

    def debugged_path(self, name: str) -> str:
        """Where a debugger finds a source that is kept: its file, or the path that stands for the text of a cell."""
        if (path := self._paths[name]) is not None:
            return path
        if name not in self._cell_paths:
            # Few scripts are debugged.
            from llmspell_kernel.scripting.cell_paths import cell_path

            self._cell_paths[name] = cell_path(self._by_name[name])
        return self._cell_paths[name]

    def position(self, message: str) -> tuple[str, int] | None:
        """Script and line of a message that begins with a known one."""
        found = _POSITION.match(message)
        return (found[1], int(found[2])) if found is not None and found[1] in self._by_name else None

    def lines(self, script: str, first: int, last: int) -> str | None:
        """The text of some lines, as it stands there; None where it is unknown."""
        source = self._by_name.get(script)
        if source is None or not 1 <= first <= last:
            return None
        lines = source.split(b"\n", last)[first - 1 : last]
        return b"\n".join(lines).decode("utf-8", "replace") if lines else None

    def line(self, script: str | None, line: int | None) -> str | None:
        """The text of a line, without its indentation; None where it is unknown."""
        source = self._by_name.get(script or "")
        if source is None or line is None:
            return None
        lines = source.split(b"\n", line)
        if not 1 <= line <= len(lines):
            return None
        text = lines[line - 1].decode("utf-8", "replace").strip()
        return text if len(text) <= MAX_LINE_CHARACTERS else text[: MAX_LINE_CHARACTERS - 1] + "…"
