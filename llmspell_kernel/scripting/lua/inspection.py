"""What stands at the cursor, as Shift-Tab shows it: live values first, then the reference. Runs no script's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from llmspell_kernel.scripting.lua.chains import Chain, Key, chain_to
from llmspell_kernel.scripting.lua.reference import Entry, Section, manual, sections, wrapped
from llmspell_kernel.scripting.lua.resolution import Live, Seen, entry_of
from llmspell_kernel.scripting.lua.tokens import Token, still_open, tokens

SourceOf = Callable[[str, int, int], str | None]
"""The lines of a chunk, from one to another; None where they are not known."""
_DOC_LINES = 30
_BRACKETS_LOOKED_AT = 20


class Part(NamedTuple):
    """One part of what is shown: a heading in code (`code`), a sentence, or lines of Lua (`lua`)."""

    kind: str
    text: str


def inspected(code: str, cursor: int, live: Live, source: SourceOf, *, detailed: bool = False) -> list[Part] | None:
    """What is known about the name at the cursor, else about the function whose arguments are being written.

    `detailed`: with the source of a function of the script's.
    """
    found = tokens(code)
    here = next((token for token in found if token.start < cursor <= token.end), None)
    if here is None or here.kind != "name":
        # The cursor in front of a name stands at it too.
        here = next((token for token in found if token.start == cursor and token.kind == "name"), here)
    plain = [token for token in found if token.kind != "comment"]
    about = _About(live, source, detailed)
    if here is not None and here.kind == "name" and here in plain:
        parts = about.chain_at(plain, plain.index(here))
        if parts is not None:
            return parts
    before = [token for token in plain if token.end <= cursor or (token.kind == "string" and token.start < cursor)]
    for opened in reversed(still_open(before)[-_BRACKETS_LOOKED_AT:]):
        if opened.token.kind == "operator" and opened.place and before[opened.place - 1].is_value_end:
            parts = about.chain_at(before, opened.place - 1)
            if parts is not None:
                return parts
    return None


def as_text(parts: Sequence[Part]) -> str:
    """For readers of plain text."""
    return "\n\n".join(wrapped(part.text) if part.kind == "sentence" else part.text for part in parts)


def as_markdown(parts: Sequence[Part]) -> str:
    """For readers of Markdown."""
    return "\n\n".join(part.text if part.kind == "sentence" else f"```lua\n{part.text}\n```" for part in parts)


class _About:
    def __init__(self, live: Live, source: SourceOf, detailed: bool) -> None:
        self._live = live
        self._source = source
        self._detailed = detailed

    def chain_at(self, found: Sequence[Token], end: int) -> list[Part] | None:
        """What is known about the chain that ends with this token."""
        chain = chain_to(found, end)
        if chain is None or not found[end].is_identifier or chain.is_text:
            return None
        entry = entry_of(chain, found[: chain.begins], self._live)
        if entry is not None:
            return list(_of_entry(_owner(chain, entry[0]), *entry, self._separator(found, end)))
        name = str(chain.steps[-1].key)
        if len(chain.steps) == 1 and name in sections() and sections()[name].kind != "object":
            return list(_of_section(sections()[name]))
        names = chain.names
        if names is None:
            return None
        seen = self._live.look(names)
        own = self._of_lua(names) if seen is not None and seen.type == "function" and seen.source is None else None
        if own is not None:
            return list(own)
        if seen is not None:
            return list(self._of_value(".".join(map(str, names)), seen))
        # A local variable is not known outside of its function; what it is called with often tells.
        if self._separator(found, end) == ":":
            same = [one for one in sections().values() if one.kind == "object" and name in one.fields]
            return [part for one in same for part in _of_entry(one.name, one, one.fields[name], ":")] or None
        return None

    def _of_lua(self, names: Sequence[Key]) -> Iterator[Part] | None:
        """What Lua's manual says of one of its functions; a text's methods are those of `string`."""
        owner = self._live.look(names[:-1]) if len(names) > 1 else None
        name = f"string.{names[-1]}" if owner is not None and owner.type == "string" else ".".join(map(str, names))
        entry = manual().get(name)
        return None if entry is None else _of_manual(entry)

    def _separator(self, found: Sequence[Token], end: int) -> str:
        return found[end - 1].text if end else ""

    def _of_value(self, name: str, seen: Seen) -> Iterator[Part]:
        if seen.type != "function":
            if seen.section is not None:
                yield Part("code", f"{name}: {seen.section}")
                yield Part("sentence", sections()[seen.section].doc)
            else:
                yield Part("code", f"{name}: {seen.shape}")
            yield Part("code", seen.text)
            return
        parameters = "" if seen.parameters is None else f"({seen.parameters})"
        yield Part("code", f"{name}{parameters}: function")
        if seen.source is None:
            yield Part("sentence", seen.text)
            return
        script, first, last = seen.source
        comment = self._comment_above(script, first)
        if comment:
            yield Part("sentence", comment)
        yield Part("sentence", seen.text)
        text = self._source(script, first, last) if self._detailed else None
        if text is not None:
            yield Part("code", text)

    def _comment_above(self, script: str, first: int) -> str:
        lines: list[str] = []
        for line in range(first - 1, max(0, first - 1 - _DOC_LINES), -1):
            text = (self._source(script, line, line) or "").strip()
            if not text.startswith("--") or text.startswith("--["):
                break
            lines.insert(0, text.lstrip("-").strip())
        return " ".join(lines)


def _owner(chain: Chain, section: Section) -> str:
    """What stands before the name: the words of the code where they name a global, else the object's name."""
    if section.kind == "object":
        return section.name
    return ".".join(str(step.key) for step in chain.steps[:-1])


def _of_entry(owner: str, section: Section, entry: Entry, separator: str) -> Iterator[Part]:
    gives = "" if entry.gives == "nil" else f" → {entry.gives}"
    shown = ":" if section.kind == "object" and entry.call is not None else separator
    yield Part("code", f"{owner}{shown}{entry.name}{entry.call or ''}{gives}")
    yield Part("sentence", entry.doc)
    if entry.example is not None:
        yield Part("code", entry.example)
    yield Part("sentence", f"since {entry.since}")


def _of_manual(entry: Entry) -> Iterator[Part]:
    gives = "" if entry.gives == "nil" else f" → {entry.gives}"
    yield Part("code", f"{entry.name}{entry.call}{gives}")
    yield Part("sentence", entry.doc)
    yield Part("sentence", f"as in {entry.since}")


def _of_section(section: Section) -> Iterator[Part]:
    if section.call is not None:
        gives = "" if section.gives == "nil" else f" → {section.gives}"
        yield Part("code", f"{section.name}{section.call}{gives}")
    else:
        yield Part("code", section.name)
    yield Part("sentence", section.doc)
    if section.fields:
        yield Part("code", "\n".join(f"  {entry.name}{entry.call or ''}" for entry in section.fields.values()))
    if section.example is not None:
        yield Part("code", section.example)
    yield Part("sentence", f"since {section.since}")
