"""What scripts can call as a definition file: an editor's Lua language server completes and checks scripts by it.

Written in the annotations of lua-language-server (LuaCATS), which EmmyLua's reads too; from the same descriptions as
Tab, Shift-Tab and the reference page. Lua's own libraries are left out: a language server knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from llmspell_kernel.scripting.lua.reference import Entry, Section, parameter_types, sections
from llmspell_protocol.version import VERSION

_PREFIX = "llmspell."
_FILE, _NULL = "file*", f"{_PREFIX}null"
_TYPES = {"file": _FILE, "null": _NULL}
"""What the reference calls otherwise than a language server does."""
_LUAS_OWN = ("print",)
_WORD = re.compile(r"[A-Za-z_]\w*")
_PARAMETER = re.compile(r"[\[\]]|[\w.]+")

HEADING = f"""\
---@meta
-- llmspell {VERSION}: what scripts can call.
-- Written by `llmspell jupyter lua-api`.

---@class {_NULL}
"""


class Parameter(NamedTuple):
    """One parameter as a call shows it: `[name]` is optional."""

    name: str
    optional: bool


@cache
def definitions() -> str:
    """The file's text."""
    every = sections()
    parts = [HEADING]
    parts += [_object(one) for one in every.values() if one.kind == "object"]
    parts += [_global(one) for one in every.values() if one.kind == "global" and one.name not in _LUAS_OWN]
    return "\n".join(parts)


def parameters(call: str) -> list[Parameter]:
    """The parameters of `(text[, indent])`, `([name, ]settings)` and their like, in their order."""
    found: list[Parameter] = []
    depth = 0
    for piece in _PARAMETER.findall(call):
        if piece in "[]":
            depth += 1 if piece == "[" else -1
        else:
            found.append(Parameter(piece, depth > 0))
    return found


def _object(section: Section) -> str:
    local = f"{section.name}_object"
    lines = [*_comment(section.doc), f"---@class {_PREFIX}{section.name}"]
    lines += _fields(section)
    lines.append(f"local {local} = {{}}\n")
    for entry in section.fields.values():
        if entry.call is not None:
            lines += _function(section, entry, f"{local}:{entry.name}")
    return "\n".join(lines)


def _global(section: Section) -> str:
    if section.call is not None:
        entry = Entry(section.name, section.call, section.gives, section.doc, section.since)
        return "\n".join(_function(section, entry, section.name))
    lines = _comment(section.doc)
    if not section.fields:
        same = re.match(r"The same as `(\w+)`\.", section.doc)
        lines.append(
            f"{section.name} = {same[1]}"
            if same
            else f"---@type string[]|table<string, string?>\n{section.name} = {{}}"
        )
        return "\n".join([*lines, ""])
    lines.append(f"---@class {_PREFIX}global.{section.name}")
    lines += _fields(section)
    lines.append(f"{section.name} = {{}}\n")
    for entry in section.fields.values():
        if entry.call is not None:
            lines += _function(section, entry, f"{section.name}.{entry.name}")
    return "\n".join(lines)


def _callable(section: Section) -> str:
    entry = Entry(section.name, section.call, section.gives, section.doc, section.since)
    return "\n".join(_function(section, entry, section.name))


def _function(section: Section, entry: Entry, name: str) -> Iterator[str]:
    """One function with its parameters; where a leading one may be left out, the form without it is an overload."""
    assert entry.call is not None
    takes = parameters(entry.call)
    yield from _comment(f"{entry.doc} (since {entry.since})")
    for one in takes:
        yield f"---@param {one.name}{'?' if one.optional else ''} {_taken(section, entry, one.name)}"
    gives = _type(entry.gives)
    if entry.gives != "nil":
        yield f"---@return {gives}"
    required = [one for one in takes if not one.optional]
    if required and takes[0].optional:
        listed = ", ".join(
            f"{one.name}{'?' if one.optional else ''}: {_taken(section, entry, one.name)}"
            for one in takes[takes.index(required[0]) :]
        )
        yield f"---@overload fun({listed})" + (f": {gives}" if entry.gives != "nil" else "")
    yield f"function {name}({', '.join(one.name for one in takes)}) end\n"


def _fields(section: Section) -> Iterator[str]:
    yield from (_field(entry) for entry in section.fields.values() if entry.call is None)
    if section.others is not None:
        yield f"---@field [string] {_type(section.others)}"
    if section.kind == "object" and section.call is not None:
        yield f"---@overload fun{section.call}: {_type(section.gives)}"


def _field(entry: Entry) -> str:
    # What may be nil is not marked: most scripts know where it can't be, and would be warned at every use.
    return f"---@field {entry.name} {_type(entry.gives)} {_one_line(entry.doc)}"


def _taken(section: Section, entry: Entry, name: str) -> str:
    types = parameter_types()
    return _type(types.get(f"{section.name}.{entry.name}.{name}") or types.get(name, "any"))


def _type(text: str) -> str:
    """A type as the reference has it, with the names of its objects as classes."""
    known = sections()

    def named(word: re.Match[str]) -> str:
        name = word[0]
        if name in _TYPES:
            return _TYPES[name]
        is_label = text[word.end() : word.end() + 1] == ":"
        return f"{_PREFIX}{name}" if name in known and known[name].kind == "object" and not is_label else name

    return _WORD.sub(named, text)


def _comment(text: str) -> list[str]:
    return [f"---{_one_line(text)}"]


def _one_line(text: str) -> str:
    return " ".join(text.split())
