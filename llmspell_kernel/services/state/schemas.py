"""What state has to look like, by version, and how it becomes the next: files of the directory that the settings name.

`N.json` is version N: `values` has JSON Schemas by scope and key, `changes` what is done to entries of the version
before. In both `*` and `?` stand for other characters. What was kept before the first migration has version 1.

    {"values": {"user:*": {"age": {"type": "integer"}}},
     "changes": [{"scope": "user:*", "rename": "years", "to": "age"},
                 {"default": "theme", "value": "dark"}, {"remove": "tmp_*"}]}
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_kernel.services.state import entries
from llmspell_kernel.services.state.entries import Row
from llmspell_kernel.services.state.places import GLOBAL, Place, place_of
from llmspell_protocol.errors import ConfigError, InvalidRequest, LlmspellError
from llmspell_protocol.kept_values import problems_of_form, shown

FIRST = 1
_FILE = re.compile(r"([1-9][0-9]{0,8})\.json")
_KINDS = {
    "rename": {"scope", "rename", "to"},
    "default": {"scope", "default", "value"},
    "remove": {"scope", "remove"},
}
"""The changes, each with its fields."""


class SchemaVersion(NamedTuple):
    """One version: schemas by scope and key, and the changes that lead to it."""

    version: int
    file: Path
    values: Mapping[str, Mapping[str, Any]]
    changes: Sequence[Mapping[str, Any]]

    def demand(self, place: Place, form: Any) -> None:
        """Holds a value against its schemas.

        Raises:
            InvalidRequest: it fits one of them not.
        """
        for scope, keys in self.values.items():
            if not fnmatchcase(place.scope, scope):
                continue
            for key, schema in keys.items():
                if fnmatchcase(place.key, key):
                    self._demand_fits(place, shown(form), schema)

    def _demand_fits(self, place: Place, value: Any, schema: Mapping[str, Any]) -> None:
        # jsonschema takes 60 ms to import, and few have schemas.
        from jsonschema.exceptions import best_match
        from jsonschema_specifications import REGISTRY
        from referencing.exceptions import Unresolvable

        from llmspell_providers.schemas.well_formed import draft, failure_text

        try:
            # The registry fetches no `$ref` from anywhere.
            failure = best_match(draft(schema)(schema, registry=REGISTRY).iter_errors(value))
        except Unresolvable as problem:
            raise _wrong(self.file, f"$ref '{problem.ref}' points at nothing") from None
        if failure is not None:
            at = "".join(f"/{part}" for part in failure.absolute_path) or "/"
            raise InvalidRequest(
                f"the value of state key '{place.key}' does not fit version {self.version} of its schema at '{at}': "
                f"{failure_text(failure)}",
                hint=f"{self.file} says what it has to look like",
                details={"key": place.key, "scope": place.scope, "at": at, "version": self.version},
            )


class Schemas:
    """The versions in a directory; read again when a file has changed. Its methods block."""

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory
        self._known: Mapping[int, SchemaVersion] = {}
        self._seen: tuple[tuple[str, int], ...] = ()

    @property
    def versions(self) -> Mapping[int, SchemaVersion]:
        """All versions by number, ascending.

        Raises:
            ConfigError: the directory or a file can't be read, or a file is not what it has to be.
        """
        if self._directory is None:
            return {}
        try:
            files = {int(found[1]): path for path in self._directory.iterdir() if (found := _FILE.fullmatch(path.name))}
            seen = tuple((path.name, path.stat().st_mtime_ns) for path in files.values())
            if seen != self._seen:
                self._known = {number: _read(number, files[number]) for number in sorted(files)}
                self._seen = seen
        except OSError as problem:
            raise _wrong(self._directory, str(problem.strerror)) from None
        return self._known


def version_of(connection: sqlite3.Connection, key_id: str) -> int:
    """The version that a client's entries have."""
    found = connection.execute("SELECT version FROM schema_versions WHERE key_id = ?", (key_id,)).fetchone()
    return FIRST if found is None else int(found[0])


def demand_fits(connection: sqlite3.Connection, known: Mapping[int, SchemaVersion], place: Place, form: Any) -> None:
    """Holds a value against the schemas of the version that the entries have; raises `InvalidRequest`."""
    version = known.get(version_of(connection, place.key_id))
    if version is not None:
        version.demand(place, form)


def migrate(
    connection: sqlite3.Connection, known: Mapping[int, SchemaVersion], key_id: str, target: int, now_ms: int
) -> int:
    """Makes the changes of each version up to `target`, in its transaction; returns how many entries were changed.

    Raises:
        InvalidRequest: an entry does not fit the version then, or two would get one name.
    """
    changed = 0
    for number in range(version_of(connection, key_id) + 1, target + 1):
        for change in known[number].changes if number in known else ():
            changed += _change(connection, key_id, change, now_ms)
    if target in known:
        for row in _rows(connection, key_id, "*"):
            known[target].demand(Place(key_id, row.scope, row.key), json.loads(row.text))
    connection.execute("INSERT OR REPLACE INTO schema_versions (key_id, version) VALUES (?, ?)", (key_id, target))
    return changed


def _change(connection: sqlite3.Connection, key_id: str, change: Mapping[str, Any], now_ms: int) -> int:
    scope = change.get("scope", GLOBAL)
    rows = [row for row in _rows(connection, key_id, scope) if not row.is_expired(now_ms)]
    if "default" in change:
        scopes = {row.scope for row in rows} | ({scope} if "*" not in scope and "?" not in scope else set())
        there = {row.scope for row in rows if row.key == change["default"]}
        lacking = sorted(scopes - there)
        for one in lacking:
            text = json.dumps(change["value"], ensure_ascii=False, separators=(",", ":"))
            entries.write(connection, place_of(key_id, one, change["default"]), text, now_ms, None)
        return len(lacking)
    chosen = [row for row in rows if fnmatchcase(row.key, change.get("rename") or change.get("remove") or "")]
    if "rename" in change:
        _demand_apart(rows, chosen, change["to"])
    for row in chosen:
        entries.remove(connection, Place(key_id, row.scope, row.key))
        if "rename" in change:
            place = place_of(key_id, row.scope, change["to"])
            entries.write(connection, place, row.text, row.changed_ms, row.expires_ms)
    return len(chosen)


def _demand_apart(rows: Sequence[Row], chosen: Sequence[Row], to: str) -> None:
    """Of entries that get one name in one scope only one would be left."""
    has_name = {row.scope: row.key for row in rows if row.key == to}
    for row in chosen:
        other = has_name.setdefault(row.scope, row.key)
        if other != row.key:
            raise InvalidRequest(
                f"state keys '{other}' and '{row.key}' of the scope '{row.scope}' would both become '{to}'",
                hint="nothing was changed; remove one of them, or rename them to different keys",
                details={"scope": row.scope, "keys": [other, row.key], "to": to},
            )


def _rows(connection: sqlite3.Connection, key_id: str, scope: str) -> list[Row]:
    return [row for row in entries.all_of(connection, key_id) if fnmatchcase(row.scope, scope)]


def _read(version: int, file: Path) -> SchemaVersion:
    from llmspell_providers.schemas.well_formed import demand_well_formed

    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not content.keys() <= {"values", "changes"}:
            raise _wrong(file, "it has to be an object with 'values' and 'changes'")
        values, changes = content.get("values", {}), content.get("changes", [])
        if not isinstance(values, dict) or not all(isinstance(keys, dict) for keys in values.values()):
            raise _wrong(file, "values: schemas stand below scope and key")
        for scope, keys in values.items():
            for key, schema in keys.items():
                demand_well_formed(schema, f"values/{scope}/{key}")
        if not isinstance(changes, list):
            raise _wrong(file, "changes: has to be a list")
        for at, change in enumerate(changes):
            _demand_change(change, at, file)
    except ValueError as problem:
        raise _wrong(file, str(problem)) from None
    except LlmspellError as problem:
        raise problem if isinstance(problem, ConfigError) else _wrong(file, problem.message) from None
    return SchemaVersion(version, file, values, changes)


def _demand_change(change: Any, at: int, file: Path) -> None:
    kinds = [kind for kind in _KINDS if isinstance(change, dict) and kind in change]
    if len(kinds) != 1:
        raise _wrong(file, f"changes.{at}: has to have one of rename, default, remove")
    fields = _KINDS[kinds[0]]
    texts = (name for name in change if name != "value")
    if (
        not change.keys() <= fields
        or not fields - {"scope"} <= change.keys()
        or not all(isinstance(change[name], str) for name in texts)
    ):
        raise _wrong(file, f"changes.{at}: {kinds[0]} takes {', '.join(sorted(fields))}")
    problem = next(problems_of_form(change.get("value"), "value"), None)
    if problem is not None:
        raise _wrong(file, f"changes.{at}: {problem[0]} {problem[1]}")
    place_of("", GLOBAL, change.get("to") or change.get("default") or "x")


def _wrong(file: Path, why: str) -> ConfigError:
    return ConfigError(
        f"{file} is not a version of the state schema: {why}",
        hint="runtime.state_persistence.schema_directory names the directory",
        details={"file": str(file), "key": "runtime.state_persistence.schema_directory"},
    )
