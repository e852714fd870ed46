"""The values of a Lua state for those who ask about code: what names stand for, and which fields a table has.

Calls no function of a script's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lupa.lua54 import LuaError

from llmspell_kernel.scripting.lua.chains import Key
from llmspell_kernel.scripting.lua.resolution import MOST_NAMES, Field, Seen


class LiveValues:
    """What `resolution.Live` is for one state; `core` are the functions of `introspect.lua`."""

    def __init__(self, core: Mapping[str, Any], environment: Any) -> None:
        self._core = core
        self._environment = environment

    def look(self, names: Sequence[Key]) -> Seen | None:
        """The value behind names; None where there is none."""
        found = self._ask("look", self._environment, _path(names))
        if found is None or found[0] is None:
            return None
        kind, section, shape, text, parameters, script, first, last = found
        return Seen(
            kind.decode(),
            None if section is None else section.decode(),
            _text(shape),
            _text(text),
            None if parameters is None else _text(parameters),
            None if script is None else (_text(script), int(first), int(last)),
        )

    def fields(self, names: Sequence[Key], prefix: str, *, any_text: bool = False) -> Sequence[Field]:
        """The fields of a table that begin so, by name."""
        return _fields(self._ask("fields", self._environment, _path(names), _bytes(prefix), any_text, MOST_NAMES))

    def text_methods(self, prefix: str) -> Sequence[Field]:
        """The methods that every text has, by name."""
        return _fields(self._ask("text_methods", _bytes(prefix), MOST_NAMES))

    def search_path(self) -> str:
        """`package.path`; empty where there is none."""
        return _text(self._ask("search_path", self._environment) or b"")

    def _ask(self, name: str, *arguments: Any) -> Any:
        try:
            return self._core[name](*arguments)
        except LuaError:
            return None  # The script around it is being stopped: nothing runs in the state until that is over.


def _path(names: Sequence[Key]) -> bytes:
    plain = (b"s" + _bytes(name).replace(b"\0", b"") if isinstance(name, str) else b"i%d" % name for name in names)
    return b"".join(one + b"\0" for one in plain)


def _fields(found: bytes | None) -> Sequence[Field]:
    fields: list[Field] = []
    for line in (found or b"").split(b"\n")[:-1]:
        name, kind, *given = line.split(b"\0")
        try:
            fields.append(Field(name.decode(), kind.decode(), _text(given[0]) if given else None))
        except UnicodeDecodeError:
            continue  # No text that could be typed.
    return sorted(fields, key=lambda field: field.name)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
