"""The backends that are there without being asked for: what a configuration file is laid over.

Knows data that is not checked yet.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from llmspell_profiles.problems import KeyPath

_DEFAULT = ("providers", "default_provider")


def beside(tables: Mapping[str, Any], zero: Mapping[str, Any]) -> dict[str, Any]:
    """The zero configuration as it is below a file with these provider tables.

    A table that the file makes another type's is no local backend, and a backend that the file has under a name of its
    own is not there twice.
    """
    local = zero["providers"]
    own = {name: _kind(name, table) for name, table in tables.items()}
    kept = {
        name: value
        for name, value in local.items()
        if not isinstance(value, dict) or (own[name] == name if name in own else name not in own.values())
    }
    default = kept.get("default_provider")
    if default is not None and default not in kept:
        kept["default_provider"] = next((name for name, kind in own.items() if kind == default), default)
    return {**zero, "providers": kept}


def with_usable_default(data: dict[str, Any], chosen: Iterable[KeyPath]) -> dict[str, Any]:
    """The data without a default provider that was not chosen and is switched off."""
    providers = data.get("providers")
    default = providers.get("default_provider") if isinstance(providers, dict) else None
    if default is None or _DEFAULT in chosen:
        return data
    assert isinstance(providers, dict)
    table = providers.get(default)
    if isinstance(table, dict) and table.get("enabled", True) is not False:
        return data
    return data | {"providers": {name: value for name, value in providers.items() if name != "default_provider"}}


def _kind(name: str, table: object) -> str:
    kind = table.get("provider_type", name) if isinstance(table, dict) else name
    return kind.lower() if isinstance(kind, str) else name
