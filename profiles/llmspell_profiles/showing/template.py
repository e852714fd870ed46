"""Configuration files to start from, as text: settings in comments, with what they mean and the value they have anyway.

Taking away the `# ` before a value changes nothing by itself. Descriptions have two of them: `## `.
"""

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_profiles.loading.profiles import ZERO_CONFIGURATION, profile_path
from llmspell_profiles.loading.toml_source import read_toml
from llmspell_profiles.problems import KeyPath
from llmspell_profiles.schema.schema_keys import Key, find, keys_below, known_providers
from llmspell_profiles.showing.reference import ANY_PROVIDER, default, depends_on_machine, section_path, sections

_WIDTH = 100

_COMMON: Mapping[str, tuple[str, ...]] = {
    "engines.lua": ("stdlib", "max_memory_bytes", "timeout_ms"),
    "providers": ("default_provider",),
    "providers.candle": (
        *("default_model", "device", "max_concurrent", "context_size", "cpu_threads", "default_quantization"),
        *("temperature", "max_tokens", "timeout_seconds"),
    ),
    "providers.ollama": ("default_model", "base_url", "timeout_seconds", "auto_start"),
    "providers.openai": ("default_model", "api_key_env", "max_tokens", "temperature"),
    "providers.anthropic": ("default_model", "api_key_env", "max_tokens", "temperature"),
    "runtime": ("log_level", "max_concurrent_scripts", "script_timeout_seconds"),
    "runtime.security": ("allow_file_access",),
    "kernel": ("port", "idle_timeout_seconds", "max_clients"),
    "models": ("memory_budget_bytes", "keep_alive", "pin"),
}
"""The keys that most people change, by table."""

_REQUIRED: Mapping[KeyPath, Mapping[str, Any]] = {
    ("providers", ANY_PROVIDER): {"provider_type": "openai"},
    ("mcp", "servers", ANY_PROVIDER): {"command": "mcp-server-time"},
}
"""Keys without which a table that is named freely would be none."""

_INTRODUCTION = """\
# llmspell configuration. A line such as '# port = 9555' shows what holds anyway; take the '# ' away to change it.
# Every key: llmspell config schema --format toml. Is it right: llmspell config validate.
"""


def starter(profile: str | None) -> str:
    """A file with the common keys that changes nothing: over `profile`, or as it is without any configuration."""
    name = profile or ZERO_CONFIGURATION
    base: Mapping[str, Any] = read_toml(profile_path(name), name).data
    parts = [_INTRODUCTION]
    if profile:
        parts.append(f'extends = "{profile}"\n')
    for name, common in _COMMON.items():
        path = tuple(name.split("."))
        there = _value_at(base, path)
        keys = [key for each in common for key in _own_keys(path) if key.path[-1] == each]
        # A provider's table configures that provider, so it stands in a comment unless the provider is there anyway.
        is_new = len(path) > 1 and path[0] == "providers" and not there
        parts.append(_table(path, keys, there, commented=is_new))
    return "\n".join(parts)


def full(section: str = "", *, idle: bool = False) -> str:
    """A file with every key at and below a dotted path, all in comments, with the schema's defaults.

    With `idle` there are also the keys that nothing reads yet.

    Raises:
        NotFound: there is no such section.
    """
    parts = [] if section else [_INTRODUCTION]
    for each in sections(section_path(section), idle=idle):
        if each.keys:
            is_named = ANY_PROVIDER in each.path or (len(each.path) > 1 and each.path[0] == "providers")
            there = _REQUIRED.get(each.path, {})
            parts.append(_table(each.path, each.keys, there, commented=is_named, about=each.description))
    return "\n".join(parts)


def _table(
    path: KeyPath,
    keys: Sequence[Key],
    there: Mapping[str, Any],
    *,
    commented: bool,
    about: str = "",
) -> str:
    """One table: `there` has values that hold already."""
    lines = [f"## {about}"] if about else []
    if path:
        lines.append(f"{'# ' if commented else ''}[{'.'.join(path)}]")
    for key in keys:
        name = key.path[-1]
        value = there.get(name, default(key))
        meaning = (key.field.description or "") + (" (no effect)" if key.idle else "")
        lines += textwrap.wrap(meaning, _WIDTH, initial_indent="## ", subsequent_indent="## ")
        if value in (None, "") or depends_on_machine(key):
            lines.append(f"# {name} =")
        else:
            lines.append(f"# {name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _own_keys(path: KeyPath) -> list[Key]:
    found = find(path, known_providers())
    assert isinstance(found, type)
    return [key for key in keys_below(found, path) if len(key.path) == len(path) + 1]


def _value_at(data: Mapping[str, Any], path: KeyPath) -> Mapping[str, Any]:
    for name in path:
        inner = data.get(name)
        data = inner if isinstance(inner, dict) else {}
    return data


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(each)}" for name, each in value.items()) + "}"
    # For these kinds of values TOML is written as JSON is.
    return json.dumps(value, ensure_ascii=False)
