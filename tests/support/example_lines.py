"""Which lines of example scripts have run: their copies are changed so that each statement tells it on standard error.

A line counts as one with a statement if a statement put before it leaves the file Lua. What a script tells about its
lines is taken out of what a reader sees.
"""

from __future__ import annotations

import re
from pathlib import Path

from lupa.lua54 import LuaRuntime

_TOLD = re.compile(r"<<([\w.]+):(\d+)>>")
_CLOSES = re.compile(r"\s*(?:end\b|else|until\b|[})\]]|--|$)")
_BEGINNING = (
    "local _told, _all = {{}}, '' local function _at(line) if not _told[line] then _told[line] = true "
    "_all = _all .. '<<{name}:' .. line .. '>>' io.stderr:write(_all) end end "
)
"""Each new line tells all before it too: what a function that is a tool prints belongs to the call and isn't shown."""


class ExampleLines:
    """The statements of all scripts of a directory, and those that have run since its files were changed."""

    def __init__(self, directory: Path) -> None:
        self.all: set[tuple[str, int]] = set()
        self.run: set[tuple[str, int]] = set()
        for path in sorted(directory.glob("*.lua")):
            self._change(path)

    def taken_out(self, text: str) -> str:
        """What was printed without what scripts told about their lines, which is noted."""
        self.run |= {(found[1], int(found[2])) for found in _TOLD.finditer(text)}
        return _TOLD.sub("", text)

    def not_run(self) -> list[str]:
        """The statements that have not run, as `file:line`."""
        return [f"{name}:{line}" for name, line in sorted(self.all - self.run)]

    def _change(self, path: Path) -> None:
        compiles = LuaRuntime().eval("function(text) return load(text) ~= nil end")
        lines = path.read_text(encoding="utf-8").splitlines()

        def is_lua_with(at: int, changed: str) -> bool:
            return bool(compiles("\n".join([*lines[:at], changed, *lines[at + 1 :]])))

        for at, line in enumerate(lines):
            changed = f"do _at({at + 1}) end {line}"
            # What may have anything before it stands in a long text.
            if not _CLOSES.match(line) and is_lua_with(at, changed) and not is_lua_with(at, f"?? {line}"):
                lines[at] = changed
                self.all.add((path.name, at + 1))
        text = _BEGINNING.format(name=path.name) + "\n".join(lines) + "\n"
        # The copy may be a link to the file itself.
        path.unlink()
        path.write_text(text, encoding="utf-8")
