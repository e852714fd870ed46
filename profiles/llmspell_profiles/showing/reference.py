"""The schema as data for people: which tables there are, and of each key its type, default, range and meaning in words.

What `json_schema.py`, `markdown.py` and `template.py` write down; knows no output format.
"""

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from llmspell_profiles.problems import KeyPath, unknown_section
from llmspell_profiles.schema.providers import (
    PROVIDER_TYPES,
    CandleSettings,
    CloudSettings,
    OllamaSettings,
    ProvidersSettings,
)
from llmspell_profiles.schema.schema_keys import Key, find, known_providers, table_in
from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.table import FieldInfo, Table
from llmspell_profiles.schema.values import Before, Form

ANY_PROVIDER = "NAME"
"""Stands for the name of a provider's table, or of a server's."""

_TYPE_WORDS = {bool: "bool", int: "int", float: "float", str: "str", Path: "path", tuple: "list", dict: "map"}


class Section(NamedTuple):
    """One table: its path, what it is about, and its own keys; `open` tables may have others."""

    path: KeyPath
    description: str
    keys: tuple[Key, ...]
    open: bool

    @property
    def name(self) -> str:
        return ".".join(self.path)


def section_path(section: str) -> KeyPath:
    """The path of a table or key by its dotted name; a provider may have any name.

    Raises:
        NotFound: there is none.
    """
    path = tuple(section.split(".")) if section else ()
    for length in range(1, len(path) + 1):
        if find(path[:length], known_providers()) is None:
            above = find(path[: length - 1], known_providers())
            names = above.FIELDS if isinstance(above, type) else ()
            raise unknown_section(section, [".".join((*path[: length - 1], name)) for name in names])
    return path


def sections(below: KeyPath = (), *, idle: bool = False) -> list[Section]:
    """All tables at and below a path (or the one with this key), in the order of the schema, outer ones first.

    Keys that nothing reads yet are left out unless `idle` asks for them, or there is nothing else at the path.

    The tables of providers are `[providers.NAME]`, which has what all of them share and what those in the cloud have,
    and `[providers.ollama]` and `[providers.candle]`, which have what differs from it.
    """
    found = list(_sections(below))
    read = [each._replace(keys=tuple(key for key in each.keys if not key.idle)) for each in found]
    read = [each for each, whole in zip(read, found, strict=True) if each.keys or not whole.keys]
    return found if idle or not any(each.keys for each in read) else read


def _sections(below: KeyPath) -> Iterator[Section]:
    if below[:1] == ("providers",) and len(below) > 1 and (len(below) > 2 or below[1] != "default_provider"):
        local = below[1] in ("ollama", "candle") and len(below) == 2
        below = below if local else ("providers", ANY_PROVIDER, *below[2:])
    if below[:2] == ("mcp", "servers") and len(below) > 2:
        below = ("mcp", "servers", ANY_PROVIDER, *below[3:])
    for each in _walk(Settings, (), "The whole configuration"):
        if each.path[: len(below)] == below:
            yield each
        elif named := tuple(key for key in each.keys if key.path == below):
            yield each._replace(keys=named)


def _walk(table: type[Table], path: KeyPath, description: str) -> Iterator[Section]:
    inner = {name: found for name, field in table.FIELDS.items() if (found := table_in(field))}
    keys = (Key((*path, name), field, table) for name, field in table.FIELDS.items() if name not in inner)
    yield Section(path, description, tuple(keys), table.OTHERS is not None)
    for name, below in inner.items():
        yield from _walk(below, (*path, name), table.FIELDS[name].description or "")
    if other := table.other_table():
        yield from _walk(other, (*path, ANY_PROVIDER), "any server; the name is free")
    if table is ProvidersSettings:
        yield from _walk(CloudSettings, (*path, ANY_PROVIDER), "any provider; the name is free")
        for name, local in (("ollama", OllamaSettings), ("candle", CandleSettings)):
            mine = [
                Key((*path, name, each), field, local)
                for each, field in local.FIELDS.items()
                if each != "provider_type" and not _is_same(field, CloudSettings.FIELDS.get(each))
            ]
            yield Section((*path, name), (local.__doc__ or "").rstrip("."), tuple(mine), True)


def _is_same(one: FieldInfo, other: FieldInfo | None) -> bool:
    same: bool = other is not None and one.default == other.default and one.annotation == other.annotation
    return same


def kinds(field: FieldInfo) -> Iterator[Any]:
    """The types that a key takes, without annotations and None; a `Literal` as it is."""
    yield from (kind for kind, _ in _alternatives(field.annotation))


def form(field: FieldInfo) -> Form:
    """What may be written for a key beyond its types; the marks of all its alternatives together."""
    marks = [*field.marks, *(mark for _, inner in _alternatives(field.annotation) for mark in inner)]
    forms = [mark.form for mark in marks if isinstance(mark, Before)]
    return Form(
        next((each.kind for each in forms if each.kind), ""),
        tuple(word for each in forms for word in each.also),
        next((each.at_least for each in forms if each.at_least is not None), None),
        next((each.at_most for each in forms if each.at_most is not None), None),
    )


def bounds(field: FieldInfo) -> dict[str, float]:
    """The range of a number: `ge`, `gt`, `le`, where they exist."""
    found = dict(field.bounds)
    limits = form(field)
    if limits.at_least is not None:
        found["ge"] = limits.at_least
    if limits.at_most is not None:
        found["le"] = limits.at_most
    return found


def words(field: FieldInfo) -> tuple[str, ...]:
    """The words that a key takes; empty where it takes any."""
    found = tuple(word for kind in kinds(field) if get_origin(kind) is Literal for word in get_args(kind))
    # Each class of provider tables knows its own types only; people choose among all.
    return PROVIDER_TYPES if set(found) & set(PROVIDER_TYPES) - {"ollama", "candle"} else found


def type_word(key: Key) -> str:
    """The type as documents name it: `str`, `bytes`, `list[str]`, …"""
    named = form(key.field).kind
    if named == "duration":
        return "duration"
    said = [_TYPE_WORDS.get(get_origin(kind) or kind, "str") for kind in kinds(key.field)]
    said = ["list[str]" if word == "list" else "bytes" if word == "int" and named == "size" else word for word in said]
    return " or ".join(dict.fromkeys(reversed(said)))


def default(key: Key) -> Any:
    """The default as plain data; None for an unset key, and for one whose default depends on others."""
    value = key.field.default
    if key.field.default_factory is not None or key.field.required:
        return None
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    return int(value) if form(key.field).kind == "duration" else value


def depends_on_machine(key: Key) -> bool:
    """Whether the default is another one elsewhere, so that no document may have it: a place in the file system."""
    value = default(key)
    return isinstance(value, list) and any(Path(each).is_absolute() for each in value)


def allowed(key: Key) -> str:
    """The range or the words in words; empty where the type says it all."""
    said = [*words(key.field)]
    if said:
        said += (f"{word} (alias)" for word in form(key.field).also)
    limits = bounds(key.field)
    if "ge" in limits and "le" in limits:
        said.append(f"{_limit(limits['ge'])} to {_limit(limits['le'])}")
    elif limits.get("ge"):
        said.append(f"≥ {_limit(limits['ge'])}")
    elif "gt" in limits:
        said.append(f"> {limits['gt']:g}")
    if form(key.field).kind == "url":
        said.append("http(s) URL")
    if key.high_limit is not None:
        said.append(f"warning above {key.high_limit:_}")
    return ", ".join(said)


def _limit(number: float) -> str:
    return f"{number:_}" if isinstance(number, int) else f"{number:g}"


def _alternatives(annotation: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)
    elif hasattr(annotation, "__metadata__"):
        for kind, marks in _alternatives(annotation.__origin__):
            yield kind, (*marks, *annotation.__metadata__)
    elif annotation is not type(None):
        yield annotation, ()
