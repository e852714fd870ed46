"""Reads the configuration once: picks the base, lays the environment and flags over it, validates.

The only place that looks at configuration files and at the environment for settings.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from llmspell_profiles.loading.environment import read_environment
from llmspell_profiles.loading.expansion import UndefinedVariable, expanded, moved_home
from llmspell_profiles.loading.home import LOCAL_PLACES, configuration_places, known_user_home, llmspell_home
from llmspell_profiles.loading.local_backends import beside, with_usable_default
from llmspell_profiles.loading.origins import ZERO_CONFIGURATION_NAME, Origins, in_file, in_order
from llmspell_profiles.loading.profiles import (
    ZERO_CONFIGURATION,
    canonical_name,
    hint_for,
    not_found,
    profile_path,
    without,
)
from llmspell_profiles.loading.provenance import sets_nothing
from llmspell_profiles.loading.provider_tables import plain_providers
from llmspell_profiles.loading.toml_source import TomlSource, read_toml
from llmspell_profiles.nested import leaves, merged, with_value
from llmspell_profiles.problems import KeyPath, Remark, SettingError
from llmspell_profiles.schema.checks import Problems, Refusal
from llmspell_profiles.schema.providers import ProviderSettings
from llmspell_profiles.schema.schema_keys import (
    Key,
    find,
    nearest,
    provider_classes,
    value_at,
)
from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.table import FreeTable, Table
from llmspell_profiles.schema.values import PathContext
from llmspell_protocol.errors import InvalidRequest, ProfileNotFound
from llmspell_protocol.user_home import expanded_user

if TYPE_CHECKING:
    from llmspell_profiles.loading.trust import Guarded


class LoadedSettings(NamedTuple):
    """The settings in force and where they came from.

    `source` is the configuration file, None without one. `profile` is the canonical name of the builtin profile that is
    the base, or that the file extends. `origins` tells where each value came from, but for those that a running kernel
    has `kept` (dotted keys), although what is read now says otherwise. `unused` are variables of providers that aren't
    configured, with the key that each one would set. `guarded` is what the file says that needs trust (`trust.py`).
    """

    settings: Settings
    source: Path | None
    profile: str | None
    remarks: tuple[Remark, ...]
    home: Path
    origins: Origins
    unused: Mapping[str, KeyPath]
    guarded: "Guarded | None" = None
    kept: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """What the configuration is made of, in words: a file (and the profile it extends), a profile, or nothing."""
        name = self.origins.source.name
        return f"{name}, extends {self.profile}" if self.source is not None and self.profile else name

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks as text for the user, without the word "Warning:"."""
        return tuple(remark.sentence for remark in self.remarks)


Read = Callable[[Path, str], TomlSource]
"""Reads a file, which messages call by the second argument: `toml_source.read_toml`, or what looks over its results."""


LISTS_ALL = "'llmspell config validate' lists every problem"


class _Base(NamedTuple):
    """The one base: merged data (references replaced, unknown keys gone) and what it was made of.

    `own` is what the user's file says, and `mistakes` are the keys in it that there aren't.
    """

    data: dict[str, Any]
    toml: TomlSource
    own: dict[str, Any]
    source: Path | None
    profile: str | None
    remarks: list[Remark]
    below: TomlSource | None = None
    moved: Sequence[KeyPath] = ()
    mistakes: Sequence[SettingError] = ()
    guarded: "Guarded | None" = None


def load_settings(
    *,
    profile: str | None = None,
    config: Path | None = None,
    env: Mapping[str, str],
    cwd: Path,
    flags: Mapping[str, object] | None = None,
    read: Read = read_toml,
) -> LoadedSettings:
    """Load the settings of a run.

    `profile` and `config` are what the command line named; `LLMSPELL_CONFIG` comes from `env` and is weaker.
    `flags` are command-line options that name a setting, by dotted key: `{"kernel.port": 9600}`; they beat everything.

    To know all problems, not only the first, call `validation.check`, which passes its own `read`.

    Raises:
        SettingError: the first problem, with the text for the user.
        InvalidRequest: both a profile and a file are named.
        ProfileNotFound: there is no such profile.
    """
    home = llmspell_home(env)
    base = _base(profile, config, env, cwd, home, read)
    configured = provider_classes(_tables(base.data))
    overlay = read_environment(env, configured, _free_tables(base.data))
    given = {tuple(key.split(".")): value for key, value in (flags or {}).items()}
    data = base.data
    for path, value in (overlay.values | given).items():
        data = with_value(data, path, value)
    data = with_usable_default(data, chosen=(*_paths(base.own), *overlay.values, *given))
    classes = provider_classes(_tables(data))
    origins = Origins(base.toml, classes, overlay.variables, frozenset(given), base.below, base.source is not None)
    errors = list(base.mistakes)
    try:
        settings = Settings.check(data, PathContext(home, known_user_home(env), cwd))
    except Refusal as refusal:
        errors.append(origins.problem(refusal.problem((), data)))
    except Problems as problems:
        errors += map(origins.problem, problems.found)
    if errors:
        raise _first_of(errors)
    checked = [*_paths(base.own), *overlay.values]
    moved = [path for path in base.moved if path not in checked and path not in given]
    remarks = (
        *_idle_profile(base, origins),
        *base.remarks,
        *overlay.remarks,
        *_doubtful_values(settings, checked, origins),
        *_moved_paths(base.profile, moved, home),
    )
    return LoadedSettings(settings, base.source, base.profile, remarks, home, origins, overlay.unused, base.guarded)


def load_trusted(
    *, profile: str | None, config: Path | None, env: Mapping[str, str], cwd: Path, flags: Mapping[str, object] | None
) -> LoadedSettings:
    """`load_settings` for a kernel, which acts on what it reads.

    Raises:
        ConfigError: as that; or the file was found in the working directory and sets what needs trust, without having
            been trusted.
    """
    loaded = load_settings(profile=profile, config=config, env=env, cwd=cwd, flags=flags)
    if loaded.guarded is not None:
        from llmspell_profiles.loading.trust import TrustedFiles

        TrustedFiles(loaded.home).demand(loaded.guarded)
    return loaded


def _idle_profile(base: _Base, origins: Origins) -> Iterator[Remark]:
    missing = without(base.profile)
    if missing is not None:
        place, details = origins.place(("extends",)) if base.source is not None else (f"profile {base.profile}", {})
        yield Remark(place, f"accepted, has no effect: this version has no {missing}", details)


def _first_of(errors: list[SettingError]) -> SettingError:
    """The error that stands first, with all in `together`: by line, then those of variables and flags."""
    errors.sort(key=in_order)
    errors[0].together = tuple(errors)
    return _advised(errors[0])


def _advised(problem: SettingError) -> SettingError:
    """The problem with the hint for a run, which stops at it: one for each would be too many where all are listed."""
    is_wrong_type = "file" in problem.details and ": expected " in problem.message
    if problem.hint is None and (is_wrong_type or len(problem.together) > 1):
        first = SettingError(
            problem.message, hint=LISTS_ALL, details=problem.details, place=problem.place, path=problem.path
        )
        first.together = problem.together
        return first
    return problem


def _base(profile: str | None, config: Path | None, env: Mapping[str, str], cwd: Path, home: Path, read: Read) -> _Base:
    if profile is not None and config is not None:
        hint = f'put extends = "{canonical_name(profile) or profile}" at the top of {config}'
        raise InvalidRequest("Cannot use both --profile and --config", hint=hint)
    if profile is not None:
        name = canonical_name(profile)
        if name is None:
            raise ProfileNotFound(not_found(profile), hint=hint_for(profile))
        return _builtin(name, env, home, read)
    if config is None and env.get("LLMSPELL_CONFIG"):
        config = Path(expanded_user(env["LLMSPELL_CONFIG"], env))
    if config is not None:
        try:
            toml = read(cwd / config, str(config))
        except FileNotFoundError:
            text = f"configuration file not found: {config}"
            raise SettingError(text, details={"file": str(config)}) from None
        return _from_file(toml, cwd / config, env, home, read)
    idle: Path | None = None
    for place in configuration_places(env, home):
        try:
            toml = read(cwd / place, str(place))
        except FileNotFoundError:
            continue
        if str(place) in LOCAL_PLACES and sets_nothing(toml.text):
            idle = idle or place
            continue
        return _from_file(toml, cwd / place, env, home, read, found=str(place) in LOCAL_PLACES)
    if idle is not None:
        return _from_file(read(cwd / idle, str(idle)), cwd / idle, env, home, read)
    return _builtin(ZERO_CONFIGURATION, env, home, read)


def _builtin(name: str, env: Mapping[str, str], home: Path, read: Read) -> _Base:
    is_profile = name != ZERO_CONFIGURATION
    toml = read(profile_path(name), f"profile {name}" if is_profile else ZERO_CONFIGURATION_NAME)
    data = expanded(moved_home(toml.data, home), env, known_user_home(env))
    return _Base(data, toml, {}, None, name if is_profile else None, [], moved=_moved(data, home))


def _moved(data: dict[str, Any], home: Path) -> Sequence[KeyPath]:
    if "rag" not in data:
        return ()
    # Only these profiles have such paths.
    from llmspell_profiles.loading.writable_paths import moved

    return moved(data, home)


def _moved_paths(profile: str | None, paths: Sequence[KeyPath], home: Path) -> Iterator[Remark]:
    if paths:
        keys = ", ".join(".".join(path) for path in paths)
        text = f"{keys} can't be written on this machine; below {home} instead"
        yield Remark(f"profile {profile}", text, {"key": keys})


def _from_file(
    toml: TomlSource, path: Path, env: Mapping[str, str], home: Path, read: Read, *, found: bool = False
) -> _Base:
    profile = _extended_profile(toml)
    extended = _builtin(profile or ZERO_CONFIGURATION, env, home, read)
    remarks: list[Remark] = []
    mistakes: list[SettingError] = []
    own = _plain_hooks(plain_providers(toml, remarks, mistakes), toml, remarks)
    below = extended.data if profile else beside(_tables(own), extended.data)
    classes = provider_classes(_tables(merged(below, own)))
    own = _known_keys(own, (), toml, classes, remarks, mistakes)
    # Only a file has such keys.
    from llmspell_profiles.loading.trust import Guarded, guarded_values

    guarded = Guarded(path, toml.name, found, guarded_values(own, classes))
    try:
        own = expanded(own, env, known_user_home(env))
    except UndefinedVariable as error:
        place, details = in_file(toml, error.path)
        text = f"{place}: environment variable {error.variable} is not set"
        hint = f"write ${{{error.variable}:-fallback}} to give a default"
        details |= {"variable": error.variable}
        raise SettingError(text, hint=hint, details=details, place=place, path=error.path) from None
    if profile:
        own["extends"] = profile
    data = merged(below, own)
    return _Base(data, toml, own, path, profile, remarks, extended.toml, extended.moved, mistakes, guarded)


def _extended_profile(toml: TomlSource) -> str | None:
    named = toml.data.get("extends")
    if not isinstance(named, str):
        return None  # a wrong type is reported with the others
    name = canonical_name(named)
    if name is None:
        place, details = in_file(toml, ("extends",))
        text = f"{place}: {not_found(named)}"
        raise SettingError(text, hint=hint_for(named), details=details, place=place, path=("extends",))
    return name


def _plain_hooks(data: dict[str, Any], toml: TomlSource, remarks: list[Remark]) -> dict[str, Any]:
    """The data with `[runtime.hooks]` as `[hooks]`, where a key that stands in both has the value of the latter."""
    runtime = data.get("runtime")
    if not isinstance(runtime, dict) or "hooks" not in runtime:
        return data
    alias, direct = runtime["hooks"], data.get("hooks", {})
    if isinstance(alias, dict) and isinstance(direct, dict):
        for key in sorted(alias.keys() & direct.keys()):
            if alias[key] != direct[key]:
                place, details = in_file(toml, ("runtime", "hooks", key))
                remarks.append(Remark(place, f"ignored, hooks.{key} has another value", details))
        alias = alias | direct
    return data | {"runtime": {key: runtime[key] for key in runtime if key != "hooks"}, "hooks": alias}


def _known_keys(
    data: Mapping[str, Any],
    path: KeyPath,
    toml: TomlSource,
    classes: Mapping[str, type[ProviderSettings]],
    remarks: list[Remark],
    mistakes: list[SettingError],
) -> dict[str, Any]:
    """The data without unknown keys, which are mistakes. A backend's own options stay."""
    known = {}
    for name, value in data.items():
        here = (*path, name)
        found = find(here, classes)
        is_scalar_for_table = _is_named_table(found, path, name) and not isinstance(value, dict)
        if found is None and path[:1] == ("providers",) and len(path) == 2:
            known[name] = value
        elif found is None or is_scalar_for_table:
            place, details = in_file(toml, here)
            hint = _did_you_mean(here, classes)
            mistakes.append(SettingError(f"{place}: unknown key", hint=hint, details=details, place=place, path=here))
        elif found is FreeTable:
            known[name] = value
            place, details = in_file(toml, here)
            text = f"no such {path[-1].removesuffix('s')}, has no effect"
            remarks.append(Remark(place, text, details, _did_you_mean(here, classes)))
        elif isinstance(found, type) and isinstance(value, dict):
            known[name] = _known_keys(value, here, toml, classes, remarks, mistakes)
        else:
            known[name] = value
    return known


def _did_you_mean(path: KeyPath, classes: Mapping[str, type[ProviderSettings]]) -> str | None:
    close = nearest(path, classes)
    return f"did you mean {close}?" if close else None


def _is_named_table(found: Key | type[Table] | None, path: KeyPath, name: str) -> bool:
    named = found is FreeTable or (path == ("providers",) and name != "default_provider")
    return named or path == ("mcp", "servers")


def _doubtful_values(settings: Settings, paths: list[KeyPath], origins: Origins) -> Iterator[Remark]:
    told: set[str] = set()
    for path in dict.fromkeys(_of_map(path, origins.providers) for path in paths):
        key = find(path, origins.providers)
        if not isinstance(key, Key) or (key.high_limit is None and not key.idle):
            continue
        value = value_at(settings, path)
        place, details = origins.place(path)
        if key.idle and value != key.field.default:
            if place in told:
                continue  # A variable that sets several keys.
            told.add(place)
            yield Remark(place, "accepted, has no effect", details)
        elif key.high_limit is not None and value is not None and value > key.high_limit:
            yield Remark(place, f"{value} is unusually high (more than {key.high_limit})", details)


def _of_map(path: KeyPath, classes: Mapping[str, type[ProviderSettings]]) -> KeyPath:
    """The path of the key whose value is a map, for a path inside that map; any other path as it is."""
    return path[:-1] if isinstance(find(path[:-1], classes), Key) else path


def _tables(data: Mapping[str, Any]) -> Mapping[str, Any]:
    tables = data.get("providers")
    return tables if isinstance(tables, dict) else {}


def _free_tables(data: Mapping[str, Any]) -> Iterator[KeyPath]:
    for section in ("engines", "tools"):
        tables = data.get(section)
        for name in tables if isinstance(tables, dict) else ():
            if find((section, name), {}) is FreeTable:
                yield (section, name)


def _paths(data: Mapping[str, Any]) -> Iterator[KeyPath]:
    return (path for path, _ in leaves(data))
