"""What a chain in code stands for: a value that there is, else what the reference says that its calls give.

Runs no script's code. Knows neither what is completed nor how something is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from llmspell_kernel.scripting.lua.chains import Chain, Key, Step, last_assigned
from llmspell_kernel.scripting.lua.reference import Entry, Section, sections
from llmspell_kernel.scripting.lua.tokens import Token

MOST_NAMES = 1_000
"""So many fields of one table are told."""
_DEPTH = 5
"""Variables that were given what another variable had."""


class Seen(NamedTuple):
    """A value that there is: its Lua type, the section that it belongs to, its shape, and how it is shown.

    Of a function `parameters` are their names where Lua knows them, and `source` where it was defined: the chunk's
    name, the first line and the last.
    """

    type: str
    section: str | None
    shape: str
    text: str
    parameters: str | None = None
    source: tuple[str, int, int] | None = None


class Field(NamedTuple):
    """A field of a table: its name, its Lua type, and a function's parameters where Lua knows them."""

    name: str
    type: str
    parameters: str | None = None


class Live(Protocol):
    """The values of a context; no metamethod is called, no variable changed."""

    def look(self, names: Sequence[Key]) -> Seen | None:
        """The value behind names, such as `("LocalLLM", "chat")`; None where there is none."""

    def fields(self, names: Sequence[Key], prefix: str, *, any_text: bool = False) -> Sequence[Field]:
        """The fields of a table that begin so, at most `MOST_NAMES`, those that it inherits from tables too; those of
        the environment for no names. With `any_text` they need not be names. Of a text its methods."""

    def text_methods(self, prefix: str) -> Sequence[Field]:
        """The methods that every text has."""


def live_names(chain: Chain, live: Live) -> list[Key] | None:
    """The names under which there is a value for the chain."""
    names = chain.names
    return names if names is not None and not chain.is_text and live.look(names) is not None else None


def section_of(chain: Chain, found: Sequence[Token], live: Live, depth: int = 0) -> Section | None:
    """The section of the reference that a value belongs to which the chain gives; `found` is the code before it."""
    if chain.is_text or not chain.steps:
        return None
    base = chain.steps[0].key
    if depth < _DEPTH and isinstance(base, str) and not chain.steps[0].called:
        assigned = last_assigned(found, base)
        if assigned is not None and (assigned[1] or live.look([base]) is None):
            section = section_of(assigned[0], found[: assigned[0].begins], live, depth + 1)
            if section is not None:
                return _along(section, chain.steps[1:])
    return _from_values(chain.steps, live)


def _from_values(steps: Sequence[Step], live: Live) -> Section | None:
    known = sections()
    plain = 0
    while plain < len(steps) and not steps[plain].called:
        plain += 1
    # The longest way that is made of names alone ends at a value that there is.
    seen = live.look([step.key for step in steps[:plain]]) if plain else None
    if seen is not None and seen.section is not None:
        return _along(known[seen.section], steps[plain:])
    base = steps[0].key
    if isinstance(base, str) and base in known and known[base].kind != "object":
        if not steps[0].called:
            return _along(known[base], steps[1:])
        return _along(known.get(known[base].gives), steps[1:])
    return None


def _along(section: Section | None, steps: Sequence[Step]) -> Section | None:
    known = sections()
    for step in steps:
        entry = section.fields.get(str(step.key)) if section is not None else None
        if entry is None and section is not None and section.others is not None and not step.called:
            section = known.get(section.others)
            continue
        if entry is None or (entry.call is not None) != step.called:
            return None
        section = known.get(entry.gives)
    return section


def entry_of(chain: Chain, found: Sequence[Token], live: Live) -> tuple[Section, Entry] | None:
    """The function or value of the reference that the chain names: the section that has it, and its entry."""
    if len(chain.steps) < 2 or chain.steps[-1].called:
        return None
    section = section_of(chain._replace(steps=chain.steps[:-1]), found, live)
    entry = None if section is None else section.fields.get(str(chain.steps[-1].key))
    return None if section is None or entry is None else (section, entry)
