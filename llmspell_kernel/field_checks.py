"""What a request's class can't say by its types: finite numbers, integers of 64 bits, and free data that is carried.

Walks a content beside the class that it is to become. A field that is missing or of another form altogether is not
its business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from llmspell_protocol.durations import FORMS, read_seconds
from llmspell_protocol.numbers import WrongNumber, number, whole
from llmspell_protocol.plain_values import problems_of_data

Problems = Iterator[tuple[str, str]]
"""`(place, what is wrong there)`."""

_Check = Callable[[Any, str], Iterable[tuple[str, str]]]


def problems_of_fields(kind: type, content: Mapping[str, Any], place: str = "") -> Problems:
    """Each value of a content that no field of the class can have, whatever the class's types make of it."""
    for name, check in _checks(kind).items():
        value = content.get(name)
        if value is not None:
            yield from check(value, f"{place}.{name}" if place else name)


@functools.cache
def _checks(kind: type) -> Mapping[str, _Check]:
    found = {name: _OF_NAME.get(name) or _check(hint) for name, hint in get_type_hints(kind).items()}
    return {name: check for name, check in found.items() if check is not None}


def _check(hint: Any) -> _Check | None:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        some = [one for one in inner if one is not NoneType]
        return _check(some[0]) if len(some) == 1 else None
    if origin is Mapping:
        return problems_of_data if inner[1] is Any else None
    if origin is Sequence:
        item = _check(inner[0])
        return None if item is None else functools.partial(_of_list, item)
    if is_dataclass(hint):
        return functools.partial(_of_class, hint)
    return None


def _of_list(item: _Check, value: Any, place: str) -> Problems:
    if isinstance(value, (list, tuple)):
        for at, one in enumerate(value):
            yield from item(one, f"{place}.{at}")


def _of_class(kind: Any, value: Any, place: str) -> Problems:
    if isinstance(value, Mapping):
        yield from problems_of_fields(kind, value, place)


def _of_number(read: Callable[[object], float], value: Any, place: str) -> Problems:
    try:
        read(value)
    except WrongNumber as problem:
        yield place, str(problem)


def _of_truth(value: Any, place: str) -> Problems:
    if not isinstance(value, bool):
        yield place, "must be true or false"


def _of_text(value: Any, place: str) -> Problems:
    if not isinstance(value, str):
        yield place, "must be a string"


def _of_duration(value: Any, place: str) -> Problems:
    try:
        read_seconds(value)
    except ValueError:
        yield place, f"must be a duration: {FORMS}; 0 = at once, -1 = never"


_PLAIN: Mapping[Any, _Check] = {
    int: functools.partial(_of_number, whole),
    float: functools.partial(_of_number, number),
    bool: _of_truth,
    str: _of_text,
    Any: problems_of_data,
}
_OF_NAME: Mapping[str, _Check] = {"keep_alive": _of_duration}
