"""From a content whose every value has the form of its field to the class, without pydantic: what nearly all are.

Pydantic takes longer to be imported, and to build a validator, than most requests take to be answered. What it would
change or refuse is left to it, so that both give the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints


class Inexact(Exception):
    """A value has not the form of its field, or its field has one that is not known here."""


_Make = Callable[[Any], Any]


class _Field(NamedTuple):
    make: _Make
    is_required: bool


def exact(kind: type, content: Mapping[str, Any]) -> Any:
    """The content as its class; keys that the class doesn't have are ignored.

    Raises:
        Inexact: pydantic has to look at it.
    """
    for name in content:
        _text(name)
    values = {}
    for name, field in _fields(kind).items():
        if name in content:
            values[name] = field.make(content[name])
        elif field.is_required:
            raise Inexact
    return kind(**values)


@functools.cache
def _fields(kind: type) -> Mapping[str, _Field]:
    hints = get_type_hints(kind)
    return {
        one.name: _Field(
            _maker(hints[one.name]) if one.init else _refused,
            one.default is MISSING and one.default_factory is MISSING,
        )
        for one in fields(kind)
    }


def _maker(hint: Any) -> _Make:
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return functools.partial(_one_of_several, [_maker(one) for one in inner])
    if origin is Literal:
        return functools.partial(_one_of, frozenset((type(word), word) for word in inner))
    if origin is Sequence:
        return functools.partial(_list, _maker(inner[0]))
    if origin is Mapping and inner[0] is str:
        return functools.partial(_map, _maker(inner[1]))
    if isinstance(hint, type) and is_dataclass(hint):
        return functools.partial(_object, hint)
    return _refused


def _refused(value: Any) -> Any:
    raise Inexact


def _one_of_several(makers: Sequence[_Make], value: Any) -> Any:
    for make in makers:
        try:
            return make(value)
        except Inexact:
            continue
    raise Inexact


def _one_of(words: frozenset[tuple[type, Any]], value: Any) -> Any:
    try:
        if (type(value), value) in words:
            return value
    except TypeError:
        pass  # No word is a list or a map.
    raise Inexact


def _list(make: _Make, value: Any) -> list[Any]:
    if type(value) is not list:
        raise Inexact
    return [make(one) for one in value]


def _map(make: _Make, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise Inexact
    return {_text(name): make(one) for name, one in value.items()}


def _object(kind: type, value: Any) -> Any:
    if type(value) is not dict:
        raise Inexact
    return exact(kind, value)


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Inexact
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Inexact from None
    return value


def _of_type(kind: type, value: Any) -> Any:
    if type(value) is not kind:
        raise Inexact
    return value


def _float(value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise Inexact
    try:
        return float(value)
    except OverflowError:
        raise Inexact from None


def _anything(value: Any) -> Any:
    return value


_PLAIN: Mapping[Any, _Make] = {
    str: _text,
    bool: functools.partial(_of_type, bool),
    int: functools.partial(_of_type, int),
    float: _float,
    bytes: functools.partial(_of_type, bytes),
    Any: _anything,
    NoneType: functools.partial(_of_type, NoneType),
}
