"""The keys of the schema by path: which exist, what they take, and which one a misspelt name may mean.

A path is the tuple of a key's names. Below `providers` the second name is free and its table's class depends on the
provider type, so functions take the `Providers` in question: class by table name.
"""

import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Union, get_args, get_origin

from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.providers import (
    PROVIDER_CLASSES,
    PROVIDER_TYPES,
    CloudSettings,
    ProviderSettings,
    ProvidersSettings,
)
from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.table import FieldInfo, FreeTable, IdleTable, Later, Table
from llmspell_profiles.schema.values import High, Idle, NeedsTrust

PREFIX = "LLMSPELL_"
"""What our variables begin with."""


class Key(NamedTuple):
    """One key of the schema: its path, its field (type, default, range, description) and the table that it is in.

    `in_idle`: nothing reads that table, or one around it.
    """

    path: KeyPath
    field: FieldInfo
    table: type[Table]
    in_idle: bool = False

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def kinds(self) -> tuple[Any, ...]:
        """The plain types that it takes, without `None` and annotations: `int`, `str`, `bool`, `tuple`, ..."""
        return tuple(get_origin(each) or each for each in _alternatives(self.field.annotation))

    @property
    def high_limit(self) -> int | None:
        """The value above which a number is accepted with a warning."""
        return next((mark.limit for mark in self.field.marks if isinstance(mark, High)), None)

    @property
    def idle(self) -> bool:
        """Whether this version accepts the key and does nothing with it."""
        return self.in_idle or _is_idle(self.table, self.path[-1], self.field)


def value_at(settings: Settings, path: KeyPath) -> Any:
    """The value of a key in the settings; None for a key or a table that isn't there."""
    value: Any = settings
    for name in path:
        if value is None:
            return None
        if isinstance(value, dict):
            value = value.get(name)
        else:
            value = value.others[name] if name in value.others else getattr(value, name, None)
    return value


def provider_class(kind: str | None) -> type[ProviderSettings]:
    """The class of a provider table by provider type."""
    return PROVIDER_CLASSES.get(kind or "", CloudSettings)


def provider_classes(tables: Mapping[str, Any]) -> dict[str, type[ProviderSettings]]:
    """The classes of the provider tables of unvalidated data, by table name."""
    classes = {}
    for name, table in tables.items():
        if isinstance(table, dict):
            kind = table.get("provider_type", name)
            classes[name] = provider_class(kind.lower() if isinstance(kind, str) else None)
    return classes


def known_providers() -> dict[str, type[ProviderSettings]]:
    """The classes of tables that are named like their provider type."""
    return {kind: provider_class(kind) for kind in PROVIDER_TYPES}


def keys_below(table: type[Table], path: KeyPath = (), *, idle: bool = False) -> Iterator[Key]:
    """All keys of a table and the tables in it, without the provider tables; `idle` if the whole table is."""
    for name, field in table.FIELDS.items():
        inner = table_in(field)
        if inner is None:
            yield Key((*path, name), field, table, idle)
        else:
            yield from keys_below(inner, (*path, name), idle=idle or _is_idle(table, name, field))


def needs_trust(key: Key, value: Any) -> bool:
    """Whether a file that comes with a directory may not say this of a key by itself."""
    default = key.field.default
    if value == default or (isinstance(value, list) and tuple(value) == default):
        return False
    if isinstance(default, Path) and value == str(default):
        return False
    mark = next((mark for mark in key.field.marks if isinstance(mark, NeedsTrust)), None)
    return key.table.NEEDS_TRUST if mark is None else not mark.harmless(value)


def _is_idle(table: type[Table], name: str, field: FieldInfo) -> bool:
    marked = any(isinstance(mark, Idle) for mark in field.marks)
    return marked or name in table.IDLE or issubclass(table, IdleTable)


def all_keys(providers: Mapping[str, type[ProviderSettings]]) -> Iterator[Key]:
    """All keys of the configuration, with those of the given provider tables."""
    yield from keys_below(Settings)
    for name, table in providers.items():
        yield from keys_below(table, ("providers", name))


def find(path: KeyPath, providers: Mapping[str, type[ProviderSettings]]) -> Key | type[Table] | None:
    """The key or the table at a path; None if the schema has neither.

    Below `engines` and `tools` each further name is a `FreeTable`, which has no keys of its own; below `mcp.servers` it
    is a server.
    """
    table: type[Table] = Settings
    idle = False
    for depth, name in enumerate(path):
        field = table.FIELDS.get(name)
        if field is None:
            if table is ProvidersSettings:
                table = providers.get(name, CloudSettings)
            elif table.FREE_TABLES:
                table = FreeTable
            elif other := table.other_table():
                table = other
            else:
                return None
            continue
        inner = table_in(field)
        if inner is None:
            return Key(path, field, table, idle) if depth == len(path) - 1 else None
        idle = idle or _is_idle(table, name, field)
        table = inner
    return table


def rule_name(path: KeyPath) -> str:
    """The variable that reaches a key by the rule: `LLMSPELL_KERNEL__PORT`."""
    return PREFIX + "__".join(variable_part(name) for name in path)


def variable_part(name: str) -> str:
    """A name as it stands in variables."""
    return name.upper().replace("-", "_")


def nearest(path: KeyPath, providers: Mapping[str, type[ProviderSettings]]) -> str | None:
    """The key or table that an unknown name may mean: in the same table first, then anywhere."""
    beside = _nearest_beside(path, providers, cutoff=0.6)
    if beside is not None:
        return beside
    elsewhere = {key.path[-1]: key.name for key in all_keys(providers)}
    close = _closest(path[-1], elsewhere, cutoff=0.8)
    return elsewhere[close] if close else None


def _nearest_beside(path: KeyPath, providers: Mapping[str, type[ProviderSettings]], cutoff: float) -> str | None:
    table = find(path[:-1], providers)
    close = _closest(path[-1], table.FIELDS, cutoff) if isinstance(table, type) else None
    return ".".join((*path[:-1], close)) if close else None


def _closest(name: str, candidates: Iterable[str], cutoff: float) -> str | None:
    # Only needed for a message, and start-up counts.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(candidates), 1, cutoff)), None)


def table_in(field: FieldInfo) -> type[Table] | None:
    for mark in field.marks:
        if isinstance(mark, Later):
            return mark.table
    for each in _alternatives(field.annotation):
        if isinstance(each, type) and issubclass(each, Table):
            return each
    return None


def _alternatives(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for each in get_args(annotation):
            yield from _alternatives(each)
    elif hasattr(annotation, "__metadata__"):
        yield from _alternatives(annotation.__origin__)
    elif annotation is not type(None):
        yield annotation
