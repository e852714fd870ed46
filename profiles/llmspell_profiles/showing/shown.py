"""The settings in force as plain data: what `config show` prints, with every secret taken out.

Values are such that, written to a file, they are read as the same settings again. Knows no output format.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_profiles.credentials.secrets import HIDDEN, arguments_without_secrets, is_reference, is_secret, shown
from llmspell_profiles.loading.loader import LoadedSettings
from llmspell_profiles.nested import leaves
from llmspell_profiles.problems import KeyPath, unknown_section
from llmspell_profiles.schema.providers import ProviderSettings
from llmspell_profiles.schema.table import Table
from llmspell_profiles.schema.values import Before

_TAKE_REFERENCES = ("env", "headers")
"""Maps of an MCP server whose values may name where a secret is; elsewhere `{secret = …}` is one itself."""

DEFAULT = "default"
"""The source of a value that was not set."""


class Shown(NamedTuple):
    """A part of the configuration: nested tables, or the value of a single key; `path` is where it is.

    `sources` tells where each of its values comes from, by dotted key: a file and line, a profile, a variable, the
    command line, or `DEFAULT`.
    """

    config: Any
    path: KeyPath
    sources: dict[str, str]


def shown_section(loaded: LoadedSettings, section: str = "") -> Shown:
    """What a dotted path names; everything without one.

    Raises:
        NotFound: there is no such table or key.
    """
    here: Any = plain_settings(loaded)
    path: KeyPath = ()
    for name in _names(section, here) if section else ():
        if not isinstance(here, dict) or name not in here:
            tables = here if isinstance(here, dict) else {}
            raise unknown_section(section, [".".join((*path, each)) for each in tables])
        here = here[name]
        path = (*path, name)
    paths = [key for key, _ in leaves(here, path)] if _is_table(here) else [path]
    return Shown(here, path, {".".join(key): _source(loaded, key) for key in paths})


def _source(loaded: LoadedSettings, path: KeyPath) -> str:
    if path == ("extends",) and loaded.source is None and loaded.profile:
        return "command line"
    if path[0] == "providers" and path[2:3] == ("options",):
        path = (*path[:2], *path[3:])
    source = loaded.origins.source_of(path) or DEFAULT
    is_kept = any(".".join(path[:length]) in loaded.kept for length in range(1, len(path) + 1))
    return f"before the reload; {source} after a restart" if is_kept else source


def plain_settings(loaded: LoadedSettings) -> dict[str, Any]:
    """All settings in the schema's order, nested; None for what is unset. A profile is named, as a file would."""
    return dict(_plain_table(loaded.settings)) | {"extends": loaded.profile}


def _plain_table(table: Table) -> Iterator[tuple[str, Any]]:
    for name, field in table.FIELDS.items():
        value = getattr(table, name)
        if isinstance(value, float) and any(_is_duration(mark) for mark in field.marks):
            value = int(value) if value.is_integer() else f"{value * 1000:.0f}ms"
        yield name, _plain(name, value, known=True)
    others = {name: _plain(name, value, known=False) for name, value in table.others.items()}
    if isinstance(table, ProviderSettings):
        if others:
            yield "options", others
    else:
        yield from others.items()


def _plain(name: str, value: Any, *, known: bool) -> Any:
    match value:
        case Table():
            return dict(_plain_table(value))
        case Mapping() if known and name in _TAKE_REFERENCES:
            return {
                inner: dict(each) if is_reference(each) else _plain(inner, each, known=False)
                for inner, each in value.items()
            }
        case Mapping() if is_secret(name, known=known):
            return dict.fromkeys(value, HIDDEN)
        case Mapping():
            # The names in a map are the user's own, such as headers.
            return {inner: _plain(inner, each, known=False) for inner, each in value.items()}
        case tuple() | list() if name == "args" and all(isinstance(each, str) for each in value):
            return arguments_without_secrets(value)
        case tuple() | list():
            return shown(name, [_plain("", each, known=known) for each in value], known=known)
        case Path():
            return str(value)
        case None | bool() | int() | float() | str():
            return shown(name, value, known=known)
        case _:
            return shown(name, str(value), known=known)  # a date, in a table whose keys this schema doesn't know


def _is_duration(mark: object) -> bool:
    return isinstance(mark, Before) and mark.form.kind == "duration"


def _names(section: str, tables: Mapping[str, Any]) -> Iterator[str]:
    """The names in a dotted path; a provider's own name may have dots."""
    here: Any = tables
    rest = section
    while rest:
        fitting = [name for name in here if rest == name or rest.startswith(f"{name}.")] if _is_table(here) else []
        name = max(fitting, key=len) if fitting else rest.partition(".")[0]
        yield name
        here = here.get(name) if _is_table(here) else None
        rest = rest[len(name) :].removeprefix(".")


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)
