"""How large a schema may be. A look that stops at the first bound, so that it costs the same for whatever comes.

What a grammar is made of costs more than it says: 5,000 entries of an `enum` took llama.cpp 24 seconds for three
tokens, 20,000 properties 2 GB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.refusals import malformed, refuse, step

_Place = tuple[Any, str | int] | str
"""A place inside another one; the text of a whole place is only made for an error."""

MOST_VALUES = 10_000
"""Values of JSON, those inside others included; all tools of a request together."""
MOST_CHARACTERS = 512 * 1024
"""Of all names and texts together."""
DEEPEST = 60
"""Values of JSON inside each other; an object inside an object's property is two of them."""
MOST_ENTRIES = 500
"""Of one list: an `enum`, alternatives, required names."""
MOST_PROPERTIES = 500
"""Of one object: each optional one takes part in a rule for all that follow it."""
LONGEST_NAME = 256
"""Characters of a property's name: a grammar goes one call deeper for each."""

_INT64 = 1 << 63
_SMALLER = "make the schema smaller, or ask for its parts one after the other"


def demand_size(request: ChatRequest) -> None:
    """Refuses a schema or tools that are larger than is read, or that no message could carry on.

    Raises:
        SchemaUnsupported, InvalidRequest: with `details{keyword, at}`.
    """
    if request.schema is not None:
        Size().add(request.schema, "")
    if request.tools:
        Size().add(request.tools, "/tools")


class Size:
    """What has been counted of one request so far: its schema, or all of its tools."""

    def __init__(self) -> None:
        self._values = 0
        self._characters = 0

    def add(self, value: Any, at: str) -> None:
        """Counts a value and everything inside it.

        Raises:
            SchemaUnsupported: it is more than is read.
            InvalidRequest: it has something that is no JSON, or a whole number of more than 64 bits.
        """
        left: list[tuple[Any, _Place, str, int]] = [(value, at, "schema", 1)]
        while left:
            one, place, keyword, depth = left.pop()
            self._values += 1
            if self._values > MOST_VALUES:
                refuse("schema", at, f"is too large: {MOST_VALUES:,} values are read", hint=_SMALLER)
            if isinstance(one, str):
                self._grow(len(one), at)
            elif isinstance(one, Mapping):
                _demand_few(len(one), MOST_PROPERTIES, "names", keyword, place)
                for name, child in one.items():
                    self._name(name, place, keyword, at)
                    left.append((child, (place, name), name, depth + 1))
            elif isinstance(one, list | tuple):
                _demand_few(len(one), MOST_ENTRIES, "entries", keyword, place)
                left += [(child, (place, number), keyword, depth + 1) for number, child in enumerate(one)]
            else:
                _demand_json(one, place, keyword)
            if depth > DEEPEST:
                refuse("schema", at, f"is nested too deeply: {DEEPEST} levels are read", hint=_SMALLER)

    def _name(self, name: Any, place: _Place, keyword: str, at: str) -> None:
        if not isinstance(name, str):
            malformed(keyword, _text(place), f"the name {name!r} is not text")
        if len(name) > LONGEST_NAME:
            refuse(keyword, _text(place), f"has a name of more than {LONGEST_NAME} characters", hint=_SMALLER)
        self._grow(len(name), at)

    def _grow(self, characters: int, at: str) -> None:
        self._characters += characters
        if self._characters > MOST_CHARACTERS:
            refuse("schema", at, f"is too large: {MOST_CHARACTERS:,} characters are read", hint=_SMALLER)


def _demand_few(count: int, most: int, what: str, keyword: str, place: _Place) -> None:
    if count > most:
        refuse(keyword, _text(place), f"has {count:,} {what}; {most:,} are read", hint=_SMALLER)


def _demand_json(one: Any, place: _Place, keyword: str) -> None:
    if one is None or isinstance(one, bool):
        return
    if isinstance(one, int):
        if not -_INT64 <= one < 2 * _INT64:
            malformed(keyword, _text(place), "the number has more than 64 bits")
    elif not isinstance(one, float):
        malformed(keyword, _text(place), f"{type(one).__name__} is nothing that JSON has")
    elif not math.isfinite(one):
        malformed(keyword, _text(place), f"{one} is not a number of JSON")


def _text(place: _Place) -> str:
    parts: list[str | int] = []
    while not isinstance(place, str):
        place, part = place
        parts.append(part)
    return step(place, *reversed(parts))
