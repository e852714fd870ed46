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
_END = object()


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
    # Iterators, and no place before it is needed: a name may have a megabyte, and its list as many items.
    levels: list[tuple[str, Iterator[tuple[Any, Any]]]] = [("", iter([(place, value)]))]
    while levels:
        above, inside = levels[-1]
        name, one = next(inside, (None, _END))
        if one is _END:
            levels.pop()
            continue
        if one is None or isinstance(one, (str, bool)) or is_number(one):
            continue
        here = _short(place) if len(levels) == 1 else _short(f"{above}.{_short(str(name))}")
        if not isinstance(one, (Mapping, list, tuple)):
            yield here, _wrong(one)
        elif len(levels) > MAX_DEPTH:
            yield here, f"is nested deeper than {MAX_DEPTH} levels"
        elif not isinstance(one, Mapping):
            levels.append((here, iter(enumerate(one))))
        elif any(not isinstance(name, str) for name in one):
            yield here, "has names that are no texts"
        else:
            levels.append((here, iter(one.items())))


def _wrong(value: object) -> str:
    if isinstance(value, int):
        return f"must be {WHOLE_NUMBER}"
    if isinstance(value, float):
        return f"must be {FINITE_NUMBER}"
    return f"can't be {_kind(value)}: data is made of texts, numbers, true, false, null, lists, maps"


def _short(place: str) -> str:
    return place if len(place) <= 200 else f"{place[:150]}…{place[-40:]}"


def _kind(value: object) -> str:
    return "bytes" if isinstance(value, (bytes, bytearray)) else f"of type {type(value).__name__}"
