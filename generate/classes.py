"""The fields of a dataclass, as a table can show them: names, types, defaults, and the line below a field."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

_NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


class Attribute(NamedTuple):
    """One field of a class; `is_optional`: it has a default."""

    name: str
    type: Any
    is_optional: bool
    note: str


def attributes(kind: type) -> list[Attribute]:
    """The fields of a dataclass that stand in a content: without those that travel as buffers."""
    hints = get_type_hints(kind)
    notes: dict[str, str] = {}
    for one in reversed(kind.__mro__[:-1]):
        notes |= _notes(one)
    return [
        Attribute(
            item.name,
            hints[item.name],
            item.default is not MISSING or item.default_factory is not MISSING,
            notes.get(item.name, ""),
        )
        for item in fields(kind)
        if not item.metadata.get("buffer")
    ]


@functools.cache
def _notes(kind: type) -> Mapping[str, str]:
    """What the string below a field says of it."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, note in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(note, ast.Expr):
            found[field.target.id] = " ".join(ast.literal_eval(note.value).split())
    return found


def classes_in(kind: Any) -> Iterator[type]:
    """The dataclasses that a type names: itself, or what its lists, maps and choices hold."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
    for inner in get_args(kind):
        yield from classes_in(inner)


def short(kind: Any) -> str:
    """A type in a line of fields: `LocalModel`, `[LocalModel]`, `{name: LoadedModel}`; empty where it is plain."""
    named = " or ".join(one.__name__ for one in classes_in(kind))
    if not named:
        return ""
    if get_origin(kind) is Sequence:
        return f"[{named}]"
    return f"{{name: {named}}}" if get_origin(kind) is Mapping else named


class Key(NamedTuple):
    """A key of a JSON document: `models[].id`, the names of its types, and what it says."""

    path: str
    types: str
    note: str


def keys(kind: type, prefix: str = "") -> Iterator[Key]:
    """All keys of a document, down to its plain values; one ends with `?` that only some of several classes have."""
    for attribute in attributes(kind):
        yield from _keys(f"{prefix}{attribute.name}", attribute.type, attribute.note)


def _keys(path: str, kind: Any, note: str) -> Iterator[Key]:
    origin, arguments = get_origin(kind), get_args(kind)
    classes = [one for one in classes_in(kind) if origin in (None, Union, types.UnionType)]
    if origin is Sequence and arguments[0] is not bytes:
        yield from _keys(f"{path}[]", arguments[0], note)
    elif origin is Mapping and arguments[1] is not Any:
        yield from _keys(f"{path}.*", arguments[1], note)
    elif len(classes) > 1:
        yield from _keys_of_several(path, classes)
    elif classes:
        yield from keys(classes[0], f"{path}.")
    else:
        choices = ", ".join(f"`{one}`" for one in _choices(kind))
        yield Key(path, _types(kind), note or choices)


def _keys_of_several(path: str, classes: Sequence[type]) -> Iterator[Key]:
    seen: set[str] = set()
    for one in classes:
        for attribute in attributes(one):
            if attribute.name not in seen:
                seen.add(attribute.name)
                everywhere = all(attribute.name in {item.name for item in fields(other)} for other in classes)
                name = attribute.name if everywhere else f"{attribute.name}?"
                yield from _keys(f"{path}.{name}", attribute.type, attribute.note)


def _choices(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _types(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_types(one) for one in get_args(kind))
    if get_origin(kind) is Literal:
        return _types(type(get_args(kind)[0]))
    return _NAMES.get(kind, "any")
