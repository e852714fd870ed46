"""What could stand at the cursor, and what stands there: live values first, then the reference. Runs no script's code.

Lua knows the values that there are; what a call in the text would give is known from the reference.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmspell_kernel.scripting.lua.reference import Section, described, sections, wrapped

_STRING = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
_NAME_AT_END = re.compile(r"[A-Za-z_]\w*\Z")
_NAME_AT_START = re.compile(r"\w*")
_OPENS = {")": "(", "}": "{", "]": "["}


class Seen(NamedTuple):
    """A value that there is: its Lua type, the section that it belongs to, and how it is shown."""

    type: str
    section: str | None
    text: str


Look = Callable[[Sequence[str]], Seen | None]
"""Finds the value behind names, such as `("LocalLLM", "chat")`."""


class _Step(NamedTuple):
    name: str
    called: bool


class _Path(NamedTuple):
    """`a.b():c`: the steps before the last separator, that separator (empty for a name alone), and the last name."""

    steps: Sequence[_Step]
    separator: str
    name: str


def completions(before: str, look: Look) -> list[str]:
    """The names that could stand at the end of the text where what is before them is an object that a call gives."""
    path = _path(_without_strings(before))
    if path is None or not path.separator:
        return []
    section = _section(path.steps, look)
    if section is None:
        return []
    return sorted(
        name
        for name, entry in section.fields.items()
        if name.startswith(path.name) and (entry.call is not None or path.separator == ".")
    )


def inspected(code: str, cursor: int, look: Look) -> str | None:
    """What is known about the name at the cursor, else about the function whose arguments are being written."""
    plain = _without_strings(code)
    rest = _NAME_AT_START.match(plain, cursor)
    text = _about(_path(plain[:cursor] + (rest[0] if rest is not None else "")), look)
    before = plain[:cursor]
    while text is None and (at := _open_bracket(before)) is not None:
        before = plain[:at].rstrip()
        text = _about(_path(before), look)
    return text


def _about(path: _Path | None, look: Look) -> str | None:
    if path is None or not path.name:
        return None
    if path.separator:
        section = _section(path.steps, look)
        if section is not None and path.name in section.fields:
            owner = "".join(f".{step.name}" for step in path.steps)[1:] if section.kind != "object" else section.name
            return described(owner, ":" if section.kind == "object" else path.separator, section.fields[path.name])
    elif path.name in sections():
        section = sections()[path.name]
        if section.kind != "object":
            return _section_text(section)
    if any(step.called for step in path.steps):
        return None
    names = [*(step.name for step in path.steps), path.name]
    seen = look(names)
    if seen is not None:
        if seen.section is not None:
            return f"{'.'.join(names)}: {seen.section}\n\n{wrapped(sections()[seen.section].doc)}"
        return f"{'.'.join(names)}: {seen.type}\n\n{seen.text}"
    # A local variable is not known outside of its function; what it is called with often tells.
    methods = [one for one in sections().values() if one.kind == "object" and path.name in one.fields]
    if path.separator == ":" and methods:
        return "\n\n".join(described(one.name, ":", one.fields[path.name]) for one in methods)
    return None


def _section_text(section: Section) -> str:
    if section.call is not None:
        return f"{section.name}{section.call}\n\n{wrapped(section.doc)}"
    functions = [f"  {entry.name}{entry.call or ''}" for entry in section.fields.values()]
    return "\n".join((section.name, "", wrapped(section.doc), *([""] if functions else []), *functions))


def _section(steps: Sequence[_Step], look: Look) -> Section | None:
    """What the steps lead to."""
    known = sections()
    plain = 0
    while plain < len(steps) and not steps[plain].called:
        plain += 1
    section: Section | None = None
    # The longest way that is made of names alone ends at a value that there is.
    seen = look([step.name for step in steps[:plain]]) if plain else None
    if seen is not None and seen.section is not None:
        section = known[seen.section]
    elif steps[0].name in known and known[steps[0].name].kind != "object" and not steps[0].called:
        section, plain = known[steps[0].name], 1
    else:
        return None
    for step in steps[plain:]:
        entry = section.fields.get(step.name)
        if entry is None or (entry.call is not None) != step.called or entry.gives not in known:
            return None
        section = known[entry.gives]
    return section


def _path(text: str) -> _Path | None:
    """The path at the end of a text without strings."""
    found = _NAME_AT_END.search(text)
    name = found[0] if found is not None else ""
    at = len(text) - len(name)
    steps: list[_Step] = []
    first = separator = _separator(text, at)
    while separator:
        at = len(text[: at - 1].rstrip())
        called = False
        while at and text[at - 1] in ")}":
            opened = _opening(text, at - 1)
            if opened is None:
                return None
            called, at = True, len(text[:opened].rstrip())
        found = _NAME_AT_END.search(text[:at])
        if found is None:
            return None
        steps.insert(0, _Step(found[0], called))
        at = len(text[: found.start()].rstrip())
        separator = _separator(text, at)
    return _Path(steps, first, name)


def _separator(text: str, at: int) -> str:
    if at and text[at - 1] in ".:" and text[at - 2 : at - 1] not in (".", ":"):
        return text[at - 1]
    return ""


def _opening(text: str, closing: int) -> int | None:
    """Where the bracket was opened that is closed here."""
    depth = 0
    for at in range(closing, -1, -1):
        if text[at] in ")}]":
            depth += 1
        elif text[at] in "({[":
            depth -= 1
            if depth == 0:
                return at if text[at] == _OPENS[text[closing]] else None
    return None


def _open_bracket(text: str) -> int | None:
    """The innermost bracket that is open at the end."""
    depth = 0
    for at in range(len(text) - 1, -1, -1):
        if text[at] in ")}]":
            depth += 1
        elif text[at] in "({[":
            if depth == 0:
                return at
            depth -= 1
    return None


def _without_strings(text: str) -> str:
    """The same text with empty calls in place of strings, so that no bracket in one counts; positions stay."""
    return _STRING.sub(lambda found: "(" + " " * (len(found[0]) - 2) + ")", text)
