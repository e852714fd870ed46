"""Changes one key of a configuration file: comments stay, and what is wrong is never written.

The file as it would be is checked whole before anything is written; it is replaced at once or not at all. Knows files
and the schema, not what is printed.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_profiles import replaced_file
from llmspell_profiles.loading.home import LOCAL_PLACES, configuration_places, llmspell_home
from llmspell_profiles.loading.loader import load_settings
from llmspell_profiles.loading.origins import spellings
from llmspell_profiles.loading.provenance import special_file
from llmspell_profiles.loading.toml_source import TomlSource, read_toml
from llmspell_profiles.loading.trust import Guarded, TrustedFiles
from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.backend_options import meant_by
from llmspell_profiles.schema.schema_keys import Key, find, nearest, provider_classes
from llmspell_profiles.schema.table import FreeTable
from llmspell_protocol.errors import ConfigError, InvalidRequest, LlmspellError, NotFound
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from tomlkit import TOMLDocument

    from llmspell_profiles.schema.providers import ProviderSettings


class Written(NamedTuple):
    """What a change did: the file, the key, and its value in the file before and now; None where it is not set.

    `shadowed_by` names what a run without options reads in its place: a variable, or another file; None where the
    value counts. `idle` keys are accepted and have no effect in this version. `still_wrong` is what else the file had
    wrong before and has now.
    """

    file: Path
    key: str
    value: Any
    before: Any
    created: bool
    shadowed_by: str | None
    idle: bool = False
    still_wrong: tuple[str, ...] = ()


def set_key(key: str, value: str, *, env: Mapping[str, str], cwd: Path, config: Path | None = None) -> Written:
    """Writes a value into the user's file (`config.toml` in LLMSPELL_HOME), or into `config`.

    `key` is dotted, `value` what a user types: TOML, or a bare word where the key takes a text.

    Raises:
        NotFound: there is no such key; the hint has the nearest.
        ConfigError: the value is wrong, or something else in the file is and this mends nothing; or the file can't be
            read or written.
    """
    return set_keys({key: value}, env=env, cwd=cwd, config=config)[0]


def set_keys(
    values: Mapping[str, str], *, env: Mapping[str, str], cwd: Path, config: Path | None = None
) -> list[Written]:
    """The same for several keys at once: all of them or none."""

    def put(document: TOMLDocument) -> list[KeyPath]:
        paths = []
        for key, value in values.items():
            path, found = _known(key, document)
            _put(document, path, _typed(found, value))
            paths.append(path)
        return paths

    try:
        return _change(env, cwd, config, put)
    except ConfigError as error:
        raise _with_a_type(error, values) from None


def _with_a_type(error: ConfigError, values: Mapping[str, str]) -> ConfigError:
    """The error with the whole command, where an address is set and the provider at it has no type yet."""
    of, _, missing = str(error.details.get("key")).rpartition(".")
    if missing != "provider_type" or f"{of}.base_url" not in values or f"{of}.provider_type" in values:
        return error
    # Only needed for this hint.
    from shlex import join

    words = join([f"{of}.provider_type", "openai", *(word for pair in values.items() for word in pair)])
    return ConfigError(error.message, hint=f"llmspell config set {words}", details=error.details)


def unset_key(key: str, *, env: Mapping[str, str], cwd: Path, config: Path | None = None) -> Written:
    """Takes a key, or a whole table, out of the user's file or `config`; what then holds is the default again.

    Raises:
        NotFound: the file doesn't have it.
        ConfigError: the file would be wrong without it, or can't be read or written.
    """

    def take_out(document: TOMLDocument) -> list[KeyPath]:
        path = tuple(key.split("."))
        dropped = [_drop(document, spelt) for spelt in spellings(path)]  # of all spellings
        if not any(dropped):
            if find(path, _providers(document, path)) is None:
                raise _no_such_key(document, path)
            file = str(_target(env, config, cwd))
            raise NotFound(
                f"{key} is not set in {file}",
                hint="llmspell config show --sources tells where a value comes from",
                details={"key": key, "file": file},
            )
        return [path]

    return _change(env, cwd, config, take_out)[0]


def add_servers(
    tables: Mapping[str, Mapping[str, Any]], *, env: Mapping[str, str], cwd: Path, config: Path | None = None
) -> list[Written]:
    """Writes tables `[mcp.servers.NAME]` that are not there yet: all of them or none.

    Raises:
        InvalidRequest: the file has a server of one of these names.
        ConfigError: a table is wrong, or the file can't be read or written.
    """
    # Only a command that writes needs it.
    from tomlkit import inline_table

    def put(document: TOMLDocument) -> list[KeyPath]:
        paths: list[KeyPath] = []
        for name, table in tables.items():
            path = ("mcp", "servers", name)
            if _value(document.unwrap(), path) is not None:
                key = ".".join(path)
                raise InvalidRequest(f"there is {key} already", hint=f"llmspell config unset {key}")
            for key, value in table.items():
                if isinstance(value, Mapping):
                    inline = inline_table()
                    inline.update(value)
                    value = inline
                _put(document, (*path, key), value)
            paths.append(path)
        return paths

    return _change(env, cwd, config, put)


def _target(env: Mapping[str, str], config: Path | None, cwd: Path) -> Path:
    """The file that is changed: the one that is named, else the user's own."""
    if config is not None:
        return cwd / config
    if env.get("LLMSPELL_CONFIG"):
        return cwd / expanded_user(env["LLMSPELL_CONFIG"], env)
    own, *others = list(configuration_places(env, llmspell_home(env)))[len(LOCAL_PLACES) :]
    # A new file in the home would take the place of the other one, which is looked for after it.
    return next((place for place in (own, *others) if place.exists()), own)


def _change(
    env: Mapping[str, str], cwd: Path, config: Path | None, edit: Callable[[TOMLDocument], list[KeyPath]]
) -> list[Written]:
    # Only a command that writes needs it.
    import tomlkit

    file = _target(env, config, cwd)
    place = replaced_file.resolved(file)
    with replaced_file.locked(place):
        text, style = replaced_file.read(place, str(file))
        document = tomlkit.parse(text or "")
        old = tomllib.loads(text or "")
        paths = edit(document)
        new = tomlkit.dumps(document)
        left = _checked(text or "", new, file, env, cwd)
        if new != text:
            trusted = _is_trusted(place, env, cwd)
            replaced_file.replace(place, style.written(new))
            if trusted:
                _trust(place, env, cwd)
    now = tomllib.loads(new)
    return [
        Written(
            file=file,
            key=".".join(path),
            value=_value(now, path),
            before=_value(old, path),
            created=text is None,
            shadowed_by=_shadow(path, file, env, cwd, named=config is not None),
            idle=_is_idle(path, document),
            still_wrong=left,
        )
        for path in paths
    ]


def _is_idle(path: KeyPath, document: TOMLDocument) -> bool:
    found = find(path, _providers(document, path))
    return isinstance(found, Key) and found.idle


def _checked(old: str, new: str, file: Path, env: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """What is still wrong with the file as it would be, without variables, which may change.

    Raises:
        ConfigError: the change must not be written.
    """

    def read(path: Path, name: str) -> TomlSource:
        return TomlSource(name, new, tomllib.loads(new)) if path == file else read_toml(path, name)

    kept = {name: value for name, value in env.items() if name == "LLMSPELL_HOME" or not _is_setting(name)}
    try:
        load_settings(config=file, env=kept, cwd=cwd, read=read)
    except ConfigError as error:
        # Few changes need it.
        from llmspell_profiles.checking.change_problems import still_wrong

        return still_wrong(error, old, new, file=file, env=kept, cwd=cwd)
    return ()


def _is_trusted(file: Path, env: Mapping[str, str], cwd: Path) -> bool:
    """Whether a file may say what needs trust: then it may say as well what its owner writes into it by a command."""
    guarded = _guarded(file, env, cwd)
    return guarded is None or TrustedFiles(llmspell_home(env)).knows(guarded)


def _trust(file: Path, env: Mapping[str, str], cwd: Path) -> None:
    guarded = _guarded(file, env, cwd)
    if guarded is not None and guarded.values:
        TrustedFiles(llmspell_home(env)).add(guarded)


def _guarded(file: Path, env: Mapping[str, str], cwd: Path) -> Guarded | None:
    """What needs trust in a file that would be found in its directory; None: it is no such file, or it is wrong."""
    if file.name not in {Path(place).name for place in LOCAL_PLACES} or not file.exists():
        return None
    try:
        return load_settings(config=file, env=env, cwd=cwd).guarded
    except LlmspellError:
        return None


def _is_setting(variable: str) -> bool:
    return variable.startswith("LLMSPELL_") or variable in ("OLLAMA_HOST", "CANDLE_DEVICE")


def _shadow(path: KeyPath, file: Path, env: Mapping[str, str], cwd: Path, *, named: bool) -> str | None:
    """What a run without options reads in place of the file, or in place of this key of it."""
    if not named and not env.get("LLMSPELL_CONFIG") and (special := special_file(env, str(cwd))) is not None:
        place = next(place for place in LOCAL_PLACES if os.path.realpath(cwd / place) == special)
        return f"./{place}"
    try:
        origins = load_settings(config=file, env=env, cwd=cwd).origins
    except LlmspellError:
        return None  # a variable that is wrong, which every run tells
    return next((origins.variables[each] for each in _and_above(path) if each in origins.variables), None)


def _and_above(path: KeyPath) -> Iterator[KeyPath]:
    return (path[:length] for length in range(len(path), 0, -1))


def _known(key: str, document: TOMLDocument) -> tuple[KeyPath, Key | None]:
    """The path of a key that there is, and what it takes; None where anything may stand.

    Raises:
        NotFound: there is none.
    """
    path = tuple(key.split("."))
    providers = _providers(document, path)
    found, around = find(path, providers), find(path[:-1], providers)
    if "" not in path and isinstance(found, Key):
        return next((each for each in spellings(path) if _value(document.unwrap(), each) is not None), path), found
    is_option = path[0] == "providers" and len(path) > 3 and path[2] == "options"
    is_of_map = isinstance(around, Key) and dict in around.kinds
    if "" not in path and (is_option or is_of_map or (around is FreeTable and len(path) > 2)):
        return path, None
    if isinstance(found, type):
        keys = ", ".join(found.FIELDS)
        hint = f"its keys: {keys}" if keys else None
        raise NotFound(f"{key} is a table, not a key", hint=hint, details={"key": key})
    raise _no_such_key(document, path)


def _no_such_key(document: TOMLDocument, path: KeyPath) -> NotFound:
    every = "llmspell config schema --format toml lists every key"
    default = "llmspell model default shows or sets the default model" if path == ("models", "default") else None
    key = ".".join(path)
    return NotFound(
        f"There is no key {key}", hint=_did_you_mean(document, path) or default or every, details={"key": key}
    )


def _did_you_mean(document: TOMLDocument, path: KeyPath) -> str | None:
    providers = _providers(document, path)
    close = nearest(path, providers)
    if path[0] == "providers" and len(path) == 3:
        table = _value(document.unwrap(), path[:2])
        kind = table.get("provider_type", path[1]) if isinstance(table, dict) else path[1]
        meant = meant_by(path[2], kind, providers[path[1]].FIELDS)
        close = ".".join((*path[:2], meant)) if meant else close
    return f"did you mean {close}?" if close and close != ".".join(path) else None


def _providers(document: TOMLDocument, path: KeyPath) -> Mapping[str, type[ProviderSettings]]:
    """The classes of the file's provider tables, and of the one that the path names."""
    tables = _value(document.unwrap(), ("providers",))
    named: dict[str, Any] = {path[1]: {}} if path[0] == "providers" and len(path) > 1 else {}
    return provider_classes(named | (tables if isinstance(tables, dict) else {}))


def _typed(key: Key | None, text: str) -> Any:
    """What the user typed as TOML has it: `true`, `9600`, `["a"]`, `"5m"`; a bare word is a text, `8k` are 8192."""
    kinds = set(key.kinds) if key is not None else {int, dict}
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    if not {int, float, bool, tuple, dict} & kinds and not is_quoted:
        return text  # a path or a name, which may look like a number
    try:
        parsed = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        parsed = {}
    if parsed.keys() == {"value"}:
        return parsed["value"]
    if tuple in kinds:
        return [part.strip() for part in text.split(",") if part.strip()]
    if int in kinds and (number := re.fullmatch(r"([0-9]{1,6})[kK]", text)):
        return int(number[1]) * 1024
    return {"yes": True, "on": True, "no": False, "off": False}.get(text.lower(), text) if bool in kinds else text


def _put(document: TOMLDocument, path: KeyPath, value: Any) -> None:
    import tomlkit

    table: Any = document
    for name in path[:-1]:
        if name not in table:
            table[name] = tomlkit.table(is_super_table=name != path[-2])
        table = table[name]
        if not isinstance(table, Mapping):
            raise InvalidRequest(f"{name} is not a table in the file")
    table[path[-1]] = value


def _drop(document: TOMLDocument, path: KeyPath) -> bool:
    table: Any = document
    for name in path[:-1]:
        table = table.get(name) if isinstance(table, Mapping) else None
    if not isinstance(table, Mapping) or path[-1] not in table:
        return False
    del table[path[-1]]  # type: ignore[attr-defined]
    return True


def _value(data: Any, path: KeyPath) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data
