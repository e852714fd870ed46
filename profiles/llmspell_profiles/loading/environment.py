"""Settings from environment variables: the rule `LLMSPELL_SECTION__KEY`, and the shorter names that reach some keys.

Knows nothing of files. Values are turned into the type that a key takes where their text allows it; the rest stays a
string and is reported when the settings are validated.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from llmspell_profiles.credentials.secrets import is_secret
from llmspell_profiles.loading.aliases import ALIASES, SEVERAL
from llmspell_profiles.loading.provenance import NOT_SETTINGS, OTHERS
from llmspell_profiles.problems import KeyPath, Remark, SettingError
from llmspell_profiles.schema.providers import PROVIDER_CLASSES, ProviderSettings
from llmspell_profiles.schema.schema_keys import (
    PREFIX,
    Key,
    all_keys,
    find,
    known_providers,
    rule_name,
    variable_part,
)
from llmspell_protocol.numbers import from_text

_LONG_SUFFIXES = {
    "API_KEY": "api_key",
    "BASE_URL": "base_url",
    "MODEL": "default_model",
    "TIMEOUT": "timeout_seconds",
    "MAX_RETRIES": "max_retries",
}
_SHORT_SUFFIXES = {
    "API_KEY": "api_key",
    "ENDPOINT": "base_url",
    "MODEL": "default_model",
    "TIMEOUT": "timeout_seconds",
    "MAX_RETRIES": "max_retries",
    "PROVIDER_TYPE": "provider_type",
}
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}

# Names for one key, strongest first.
_RULE, _LONG, _SHORT, _API_KEY, _OTHER = range(5)


class Overlay(NamedTuple):
    """What the environment sets: values by path, the variable behind each, and what to warn about.

    `unused` are the paths of our own variables that set nothing, since their provider isn't configured.
    """

    values: dict[KeyPath, Any]
    variables: dict[KeyPath, str]
    remarks: list[Remark]
    unused: dict[str, KeyPath]


def read_environment(
    env: Mapping[str, str],
    configured: Mapping[str, type[ProviderSettings]],
    free: Iterable[KeyPath] = (),
) -> Overlay:
    """Read all settings in `env`. `configured` gives the class of each provider table of the base, by name; `free` are
    the paths of tables for plug-ins that the base has.

    Variables of a provider that isn't configured are left out, unless they create it by its type or its default model.
    """
    names = [name for name in sorted(env) if name.startswith(PREFIX) or name in OTHERS]
    if not names:
        return Overlay({}, {}, [], {})
    reading = _Reading(env, configured, free)
    for name in names:
        reading.take(name)
    return reading.overlay()


class _Reading:
    def __init__(
        self, env: Mapping[str, str], configured: Mapping[str, type[ProviderSettings]], free: Iterable[KeyPath]
    ) -> None:
        self.env = env
        self.configured = configured
        self.classes = known_providers() | dict(configured)
        self.by_variable = {variable_part(name): name for name in (*known_providers(), *configured)}
        self.free = {tuple(variable_part(name) for name in path): path for path in free}
        self.several: dict[tuple[str, KeyPath], Any] = {}
        self.candidates: dict[KeyPath, list[tuple[int, str]]] = {}
        self.remarks: list[Remark] = []

    def take(self, name: str) -> None:
        if name in NOT_SETTINGS or (name.startswith(PREFIX + "API_KEY_") and self._api_key_of(name) is None):
            return  # read elsewhere; the second kind is the key of a tool's service
        if name == PREFIX + "EXTENDS":
            raise SettingError(
                f"{name}: extends can only be set in a configuration file",
                hint="name a profile with --profile, or a file with LLMSPELL_CONFIG",
                details={"variable": name, "key": "extends"},
            )
        if name in SEVERAL:
            given = SEVERAL[name](name, self.env[name]) if self.env[name] else {}
            for path, value in given.items():
                self.several[name, path] = value
                self.candidates.setdefault(path, []).append((_LONG, name))
            return
        target = self._target(name)
        if target is None:
            self.remarks.append(self._unknown(name))
            return
        strength, path = target
        takes_list = (key := self._key(path)) is not None and tuple in key.kinds
        if self.env[name] or takes_list:
            self.candidates.setdefault(path, []).append((strength, name))

    def overlay(self) -> Overlay:
        overlay = Overlay({}, {}, self.remarks, {})
        for path, candidates in self.candidates.items():
            if path[0] == "providers" and len(path) > 2 and not self._exists(path[1]):
                overlay.unused.update((name, path) for _, name in candidates if name.startswith(PREFIX))
                continue
            (_, variable), *weaker = sorted(candidates)
            overlay.values[path] = self._value(path, variable)
            overlay.variables[path] = variable
            for _, other in weaker:
                if other.startswith(PREFIX) and self._value(path, other) != overlay.values[path]:
                    text = f"{other} is ignored, {variable} sets {'.'.join(path)} to another value"
                    overlay.remarks.append(Remark("", text, {"variable": other, "key": ".".join(path)}))
        return overlay

    def _exists(self, provider: str) -> bool:
        creating = (("providers", provider, key) for key in ("provider_type", "default_model"))
        return provider in self.configured or any(path in self.candidates for path in creating)

    def _target(self, name: str) -> tuple[int, KeyPath] | None:
        if name in OTHERS:
            return _OTHER, OTHERS[name]
        if name in ALIASES:
            return _LONG, ALIASES[name]
        rest = name.removeprefix(PREFIX)
        if rest != rest.upper():
            return None
        if provider := self._api_key_of(name):
            return _API_KEY, ("providers", provider, "api_key")
        parts = rest.lower().split("__")
        if parts[0] == "providers" and len(parts) > 2:
            path = self._provider_path(parts)
            return (_RULE, path) if self._key(path) or self._is_option(path, parts) else None
        if parts[:2] == ["runtime", "hooks"]:
            parts = parts[1:]
        if isinstance(find(tuple(parts), self.classes), Key):
            return _RULE, tuple(parts)
        if table := self.free.get(tuple(rest.split("__")[:2])):
            return (_RULE, (*table, *parts[2:])) if len(parts) > 2 else None
        return self._provider_alias(rest)

    def _is_option(self, path: KeyPath, parts: list[str]) -> bool:
        """Whether it is an option of the backend's own: a known one, or any that is written below `options`."""
        if len(path) != 3 or find(path, self.classes) is not None:
            return False
        # Few runs need it, and start-up counts.
        from llmspell_profiles.schema.backend_options import is_option

        table = self.classes.get(path[1])
        kind = next((kind for kind, each in PROVIDER_CLASSES.items() if each is table), "openai")
        return parts[2] == "options" or is_option(path[2], kind)

    def _provider_path(self, parts: list[str]) -> KeyPath:
        table = self.by_variable.get(parts[1].upper(), parts[1])
        below = parts[3:] if parts[2] == "options" and len(parts) > 3 else parts[2:]
        return ("providers", table, *(["default_model"] if below == ["model"] else below))

    def _provider_alias(self, rest: str) -> tuple[int, KeyPath] | None:
        for strength, begin, suffixes in ((_LONG, "PROVIDER_", _LONG_SUFFIXES), (_SHORT, "", _SHORT_SUFFIXES)):
            for suffix, key in suffixes.items():
                if rest.startswith(begin) and rest.endswith("_" + suffix):
                    provider = self.by_variable.get(rest[len(begin) : -len(suffix) - 1])
                    if provider is not None:
                        return strength, ("providers", provider, key)
        return None

    def _api_key_of(self, name: str) -> str | None:
        if not name.startswith(PREFIX + "API_KEY_"):
            return None
        return self.by_variable.get(name.removeprefix(PREFIX + "API_KEY_"))

    def _key(self, path: KeyPath) -> Key | None:
        found = find(path, self.classes)
        return found if isinstance(found, Key) else None

    def _value(self, path: KeyPath, variable: str) -> Any:
        text = self.env[variable]
        if variable == "OLLAMA_HOST":
            return ollama_url(text)
        if variable in SEVERAL:
            return self.several[variable, path]
        key = self._key(path)
        if key is None:
            return text if is_secret(path[-1], known=False) else _free_value(text)
        return _typed_value(text, key.kinds)

    def _unknown(self, name: str) -> Remark:
        # Only needed for a message, and start-up counts.
        from difflib import get_close_matches

        known = [each.removeprefix(PREFIX) for each in self._all_names()]
        close = get_close_matches(name.removeprefix(PREFIX).upper(), known, 1, 0.75)
        meant = f"did you mean {PREFIX}{close[0]}?" if close else None
        return Remark("", f"{name} is not a setting", {"variable": name}, meant)

    def _all_names(self) -> Iterator[str]:
        yield from NOT_SETTINGS
        yield from ALIASES
        yield from SEVERAL
        for key in all_keys(self.classes):
            if key.path != ("extends",):
                yield rule_name(key.path)
        for provider in self.by_variable:
            yield from (f"{PREFIX}PROVIDER_{provider}_{suffix}" for suffix in _LONG_SUFFIXES)
            yield from (f"{PREFIX}{provider}_{suffix}" for suffix in _SHORT_SUFFIXES)


def ollama_url(host: str) -> str:
    """`OLLAMA_HOST` as Ollama reads it: no scheme means http and port 11434; 0.0.0.0 stands for this machine.

    What is wrong in it stays wrong, so that the check of the settings can say so.
    """
    # Ollama takes away blanks and quotes around it.
    scheme, separator, rest = host.strip().strip("\"'").rpartition("://")
    scheme = scheme if separator else "http"
    authority, slash, tail = rest.partition("/")
    userinfo, at, place = authority.rpartition("@")
    address, _, port = place.rpartition(":") if place.count(":") == 1 or "]:" in place else (place, "", "")
    if place.count(":") > 1 and not set(place) & set("[]"):
        address = f"[{place}]"
    if not port:
        port = {"https": "443", "http": "80"}[scheme] if separator and scheme in ("http", "https") else "11434"
    if address in ("", "0.0.0.0", "[::]"):
        address = "127.0.0.1"
    return f"{scheme}://{userinfo}{at}{address}:{port}{slash}{tail}".rstrip("/")


def _typed_value(text: str, kinds: tuple[Any, ...]) -> Any:
    if bool in kinds:
        return _BOOLEANS.get(text.strip().lower(), text)
    if tuple in kinds:
        return _list(text)
    if dict in kinds:
        return _json(text)
    if int in kinds or float in kinds:
        return _number(text, float in kinds)
    return text


def _list(text: str) -> Any:
    if text.lstrip().startswith("["):
        return _json(text)
    return [part.strip() for part in text.split(",") if part.strip()]


def _json(text: str) -> Any:
    # Few runs need it, and start-up counts.
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _number(text: str, with_fractions: bool) -> Any:
    found = from_text(text)
    return text if found is None or (isinstance(found, float) and not with_fractions) else found


def _free_value(text: str) -> Any:
    lowered = text.strip().lower()
    return lowered == "true" if lowered in ("true", "false") else _number(text, with_fractions=True)
