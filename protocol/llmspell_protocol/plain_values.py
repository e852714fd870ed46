"""Values that every encoding carries: null, booleans, texts, finite numbers, lists and maps with texts for names.

What comes in as free data (a schema, a tool's parameters, what an agent is told) is held against this, so that nothing
inside has to be prepared for more. Texts that no encoding has are made whole in either direction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.numbers import FINITE_NUMBER, WHOLE_NUMBER, is_number
from llmspell_protocol.plain_text import whole_text

MAX_DEPTH = 128
"""Lists and maps in each other: what scripts may nest, and well below what encoders bear."""


def with_whole_texts(value: Any) -> Any:
    """The same value, its texts and names made whole; nothing else is changed.

    Raises:
        RecursionError: it is nested hundreds of levels deep.
    """
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, dict):
        return {with_whole_texts(key): with_whole_texts(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_whole_texts(item) for item in value]
    return value


def carried(value: Any, depth: int = 0) -> Any:
    """Data that others wrote, in the form that every encoding carries.

    Texts are whole, integers beyond 64 bits are floats, as most readers of JSON have them, and what is no finite number
    is None.

    Raises:
        ValueError: lists and maps are nested deeper than `MAX_DEPTH`.
    """
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _carried_number(value)
    if isinstance(value, (Mapping, list, tuple)):
        if depth >= MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            return {whole_text(str(name)): carried(item, depth + 1) for name, item in value.items()}
        return [carried(item, depth + 1) for item in value]
    return value


def _carried_number(value: float) -> float | None:
    if is_number(value):
        return value
    try:
        rounded = float(value)
    except OverflowError:
        return None
    return rounded if is_number(rounded) else None


def problems_of_data(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """`(place, what is wrong there)` for each value that not every encoding carries; `place` is where it stands."""
    waiting = [(place, value, 0)]
    while waiting:
        here, value, depth = waiting.pop()
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, (Mapping, list, tuple)):
            if depth >= MAX_DEPTH:
                yield _short(here), f"is nested deeper than {MAX_DEPTH} levels"
                continue
            if isinstance(value, Mapping):
                if any(not isinstance(name, str) for name in value):
                    yield _short(here), "has names that are no texts"
                    continue
                inner = [(f"{here}.{name}", item, depth + 1) for name, item in value.items()]
            else:
                inner = [(f"{here}.{at}", item, depth + 1) for at, item in enumerate(value)]
            waiting.extend(reversed(inner))
        elif isinstance(value, int):
            if not is_number(value):
                yield _short(here), f"must be {WHOLE_NUMBER}"
        elif isinstance(value, float):
            if not is_number(value):
                yield _short(here), f"must be {FINITE_NUMBER}"
        else:
            yield (
                _short(here),
                f"can't be {_kind(value)}: data is made of texts, numbers, true, false, null, lists, maps",
            )


def _short(place: str) -> str:
    return place if len(place) <= 200 else f"{place[:150]}…{place[-40:]}"


def _kind(value: object) -> str:
    return "bytes" if isinstance(value, (bytes, bytearray)) else f"of type {type(value).__name__}"
