"""`${NAME}`, `${NAME:-fallback}` and `$$` in the string values of configuration files."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llmspell_profiles.problems import KeyPath

_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})")
_HOME_DIRECTORY = re.compile(r"\$\{HOME\}/\.llmspell(?=/|$)")


class UndefinedVariable(Exception):
    """A value names a variable that isn't set, without a fallback."""

    def __init__(self, path: KeyPath, variable: str) -> None:
        super().__init__(variable)
        self.path = path
        self.variable = variable


def expanded(data: Mapping[str, Any], env: Mapping[str, str], user_home: Path | None) -> dict[str, Any]:
    """The data with all references replaced; raises `UndefinedVariable`.

    `${HOME}` is defined on every platform, for every user who has a home directory.
    """
    variables = {name: value for name, value in env.items() if name != "HOME" or value}
    if user_home is not None:
        variables.setdefault("HOME", str(user_home))

    def expand(text: str, path: KeyPath) -> str:
        def replacement(found: re.Match[str]) -> str:
            name, fallback = found[1], found[2]
            if name is None:
                return "$"
            value = variables.get(name)
            if fallback is not None:
                return value or fallback
            if value is None:
                raise UndefinedVariable(path, name)
            return value

        return _REFERENCE.sub(replacement, text)

    return {key: _over_strings(value, (key,), expand) for key, value in data.items()}


def moved_home(data: Mapping[str, Any], home: Path) -> dict[str, Any]:
    """The data of a builtin profile with `${HOME}/.llmspell` replaced by the directory that llmspell really uses."""
    literal = str(home).replace("$", "$$")

    def move(text: str, path: KeyPath) -> str:
        return _HOME_DIRECTORY.sub(lambda found: literal, text)

    return {key: _over_strings(value, (key,), move) for key, value in data.items()}


def _over_strings(value: Any, path: KeyPath, change: Callable[[str, KeyPath], str]) -> Any:
    if isinstance(value, str):
        return change(value, path) if "$" in value else value
    if isinstance(value, dict):
        return {key: _over_strings(inner, (*path, key), change) for key, inner in value.items()}
    if isinstance(value, list):
        return [_over_strings(inner, path, change) for inner in value]
    return value
