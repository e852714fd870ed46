"""Finds everything that is wrong or doubtful in a configuration, where a run stops at the first error.

Works with the loader that runs use: what it reports is repaired in memory, and it is called again until all is found.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_profiles.checking.advice import advice
from llmspell_profiles.loading.loader import LoadedSettings, Read, load_settings
from llmspell_profiles.loading.origins import in_order, spellings
from llmspell_profiles.loading.profiles import PROFILE_NAMES, SHORT_NAMES
from llmspell_profiles.loading.toml_source import TomlSource, read_toml
from llmspell_profiles.loading.trust import COMMAND, TrustedFiles
from llmspell_profiles.problems import KeyPath, Remark, SettingError
from llmspell_profiles.schema.checks import Refusal
from llmspell_profiles.schema.providers import PROVIDER_TYPES
from llmspell_profiles.schema.schema_keys import value_at
from llmspell_profiles.schema.table import Table


class NamedServer(NamedTuple):
    """An address that was written into the configuration: of which provider, and where it stands."""

    provider: str
    url: str
    place: str
    details: dict[str, object]


class Report(NamedTuple):
    """What a check has found, in the order of the lines.

    `file` is the configuration file as messages call it and `path` where it is, both None without one. `profile` is the
    builtin profile that is the base, or that the file extends. An error's message begins with `place` and a colon.
    `servers` are the addresses in it, for those who can look whether they answer.
    """

    file: str | None
    path: Path | None
    profile: str | None
    errors: tuple[Remark, ...]
    warnings: tuple[Remark, ...]
    servers: tuple[NamedServer, ...] = ()


def check(*, profile: str | None = None, config: Path | None = None, env: Mapping[str, str], cwd: Path) -> Report:
    """Checks what a run would use: the base that `load_settings` would choose, and all variables.

    Raises:
        InvalidRequest: both a profile and a file are named.
        ProfileNotFound: there is no such profile.
    """
    workshop = _Workshop(dict(env), read_toml)
    errors, loaded = _examined(workshop, profile, config, cwd)
    if loaded is None:
        name = workshop.file or _named_file(errors)
        return Report(name, cwd / name if name else None, None, tuple(sorted(errors, key=in_order)), ())
    wrong = {error.details.get("key") for error in errors} - {None}
    remarks = [each for each in loaded.remarks if each.details.get("key") not in wrong]
    remarks += advice(loaded, env)
    untrusted = TrustedFiles(loaded.home).refusal(loaded.guarded) if loaded.guarded is not None else None
    if untrusted is not None:
        remarks.append(Remark("", untrusted.message, dict(untrusted.details), f"{COMMAND} shows it, and asks"))
    return Report(
        workshop.file,
        loaded.source,
        loaded.profile,
        tuple(sorted(errors, key=in_order)),
        tuple(sorted(remarks, key=in_order)),
        # What stands in a file that isn't trusted is not even looked at from here.
        tuple(_servers(loaded)) if untrusted is None else (),
    )


def errors_of(*, config: Path, env: Mapping[str, str], cwd: Path, read: Read) -> tuple[Remark, ...]:
    """Only the errors of a file, by line; `read` gives the files' text."""
    errors, _ = _examined(_Workshop(dict(env), read), None, config, cwd)
    return tuple(sorted(errors, key=in_order))


def _examined(
    workshop: "_Workshop", profile: str | None, config: Path | None, cwd: Path
) -> tuple[list[Remark], LoadedSettings | None]:
    """All errors, and the settings as they are without what is wrong; None where that can't be taken out."""
    found: dict[str, Remark] = {}
    loaded: LoadedSettings | None = None
    while loaded is None:
        try:
            loaded = load_settings(profile=profile, config=config, env=workshop.env, cwd=cwd, read=workshop.read)
        except SettingError as error:
            # A key that was reported is left at its default, which may be at odds with another one.
            found |= {each.message: _as_remark(each) for each in error.together if not workshop.knows(each)}
            if not [each for each in error.together if workshop.repair(each)]:
                return list(found.values()), None
    for hidden in _hidden_errors(loaded, workshop.numbers):
        found.setdefault(hidden.message, _as_remark(hidden))
    return list(found.values()), loaded


def _servers(loaded: LoadedSettings) -> Iterator[NamedServer]:
    """The addresses that are not there by themselves."""
    for name, table in loaded.settings.providers.enabled.items():
        for key in ("base_url", "base_urls"):
            path = ("providers", name, key)
            value = getattr(table, key, None)
            if value and loaded.origins.is_chosen(path):
                place, details = loaded.origins.place(path)
                for url in (value,) if isinstance(value, str) else value:
                    yield NamedServer(name, url, place, details)


class _Workshop:
    """Reads files as if what was reported were not in them; `numbers` are the values that were taken out."""

    def __init__(self, env: dict[str, str], read: Read) -> None:
        self.env = env
        self._read = read
        self.file: str | None = None
        self.numbers: dict[KeyPath, int | float] = {}
        self._data: dict[str, Any] = {}
        self._removed: set[KeyPath] = set()
        self._replaced: dict[KeyPath, Any] = {}

    def read(self, path: Path, name: str) -> TomlSource:
        toml = self._read(path, name)
        if path.parent != Path(__file__).parents[1] / "builtin":
            self.file, self._data = name, toml.data
        data = deepcopy(toml.data)
        for removed in self._removed:
            _remove(data, removed)
        for replaced, value in self._replaced.items():
            _replace(data, replaced, value)
        return TomlSource(toml.name, toml.text, data)

    def knows(self, error: SettingError) -> bool:
        """Whether the key has been taken out already."""
        return error.path in self._removed

    def repair(self, error: SettingError) -> bool:
        """Takes out what was reported; returns whether that changed something."""
        variable = error.details.get("variable")
        if "file" not in error.details and isinstance(variable, str):
            self._note(error.path, self.env.get(variable))
            return self.env.pop(variable, None) is not None
        path = error.path
        if not path:
            return False
        self._note(path, _value(self._data, path))
        if path[:2] == ("providers", "providers"):
            return self._drop_old_nesting()
        if path not in self._removed:
            self._removed.add(path)
            self._replace_by_likely(path)
            return True
        while path and path in self._removed:
            path = path[:-1]
        self._removed.add(path)
        return bool(path)

    def _note(self, path: KeyPath, value: object) -> None:
        if isinstance(value, str) and value.lstrip("-").isdigit():
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.numbers[path] = value

    def _drop_old_nesting(self) -> bool:
        path = ("providers", "providers")
        default = _value(self._data, ("providers", "default_provider"))
        nested = _value(self._data, path)
        if isinstance(nested, dict) and default in nested:
            # It would be configured if the table stood where it belongs.
            self._removed.add(("providers", "default_provider"))
        is_news = path not in self._removed
        self._removed.add(path)
        return is_news

    def _replace_by_likely(self, path: KeyPath) -> None:
        """Replaces a misspelt word by the likely one, so that what depends on it isn't reported too."""
        value = _value(self._data, path)
        if path == ("extends",):
            names = (*PROFILE_NAMES, *SHORT_NAMES)
            if isinstance(value, str) and (close := get_close_matches(value, names, 1)):
                self._replaced[path] = close[0]
        elif path[:1] == ("providers",) and path[2:] == ("type",):
            self._replaced.setdefault((*path[:2], "provider_type"), value)
        elif path[:1] == ("providers",) and path[2:] == ("provider_type",):
            close = get_close_matches(str(value or path[1]), PROVIDER_TYPES, 1)
            self._replaced[path] = close[0] if close else "openai"


def _hidden_errors(loaded: LoadedSettings, numbers: Mapping[KeyPath, int | float]) -> Iterator[SettingError]:
    """Errors between keys of one table that could not be seen because one of them is out of its range."""
    for parent in {path[:-1]: None for path in numbers}:
        table = value_at(loaded.settings, parent)
        if not isinstance(table, Table):
            continue
        values = {path[-1]: value for path, value in numbers.items() if path[:-1] == parent}
        as_written = table.with_values(values)
        for rule in table.RULES:
            try:
                rule(as_written)
            except Refusal as refusal:
                problem = loaded.origins.problem(refusal.problem(parent, None))
                if problem.path not in numbers:
                    yield problem


def _as_remark(error: SettingError) -> Remark:
    text = error.message.removeprefix(f"{error.place}: ") if error.place else error.message
    return Remark(error.place, text, error.details, error.hint)


def _named_file(found: Any) -> str | None:
    names = (remark.details.get("file") for remark in found)
    return next((name for name in names if isinstance(name, str)), None)


def _value(data: Any, path: KeyPath) -> Any:
    for spelt in spellings(path) if path else ():
        value = data
        for name in spelt:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def _remove(data: dict[str, Any], path: KeyPath) -> None:
    for *parents, last in spellings(path):
        table: Any = data
        for name in parents:
            table = table.get(name) if isinstance(table, dict) else None
        if isinstance(table, dict):
            table.pop(last, None)


def _replace(data: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Sets a key where its table is."""
    table: Any = data
    for name in path[:-1]:
        table = table.get(name) if isinstance(table, dict) else None
    if isinstance(table, dict):
        table[path[-1]] = value
