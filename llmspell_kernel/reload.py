"""What becomes of a configuration that is read while the kernel runs: in force now, at the next load, after a restart.

Knows settings only; `live_settings.py` tells what uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_profiles.schema.schema_keys import Key, find
from llmspell_profiles.schema.settings import Settings
from llmspell_profiles.schema.table import Table

_RESTART = (
    *("kernel.host", "kernel.port", "kernel.transport", "kernel.security", "models.memory_budget_bytes"),
    *("runtime.state_persistence.backend_type", "runtime.sessions.storage_backend", "rag.vector_storage.backend"),
)
"""Sockets, the memory that was promised, and where data lives; every path as well."""
_LOADING = frozenset(
    {
        *("device", "max_concurrent", "cpu_threads", "context_size", "batch_size", "use_flash_attention"),
        *("engine", "server_path", "spin_count", "speculation"),
    }
)
_LOADING_OF_ALL = ("models.stream_window_ms", "models.prompt_cache_bytes", "models.worker_memory_bytes")


class Reload(NamedTuple):
    """The settings that are in force after a reload, and by key what changed and when it counts.

    Keys without effect are in neither of the first two lists: the warnings of the configuration name them.
    `at_next_load` is in force for models that are loaded from now on; those in memory stay as they are.
    """

    settings: Settings
    applied: list[str]
    at_next_load: list[str]
    restart_needed: list[str]


def plan(running: Settings, wanted: Settings) -> Reload:
    """What a running kernel can take over of the wanted settings."""
    settings = _with_kept(wanted, running, "")
    assert isinstance(settings, Settings)
    before, now, asked = (each.as_data() for each in (running, settings, wanted))
    changed = [key for key in _differing(before, now, "") if not _is_idle(key, settings)]
    loading = [key for key in changed if _counts_at_load(key, settings)]
    return Reload(settings, [key for key in changed if key not in loading], loading, list(_differing(now, asked, "")))


def _with_kept(wanted: Table, running: Table, prefix: str) -> Table:
    """The wanted table, with the running one's values where these can't change."""
    kept: dict[str, Any] = {}
    for name in _names(wanted):
        key, value, old = f"{prefix}{name}", _field(wanted, name), _field(running, name)
        if isinstance(value, Table) and isinstance(old, Table):
            table = _with_kept(value, old, f"{key}.")
            if table is not value:
                kept[name] = table
        elif old != value and old is not _ABSENT and _needs_restart(key, old, value):
            kept[name] = old
    return wanted.with_values(kept) if kept else wanted


_ABSENT = object()


def _names(table: Table) -> list[str]:
    return [*table.FIELDS, *table.others]


def _field(table: Table, name: str) -> Any:
    # Through `items`, which builds a table that has not been read so far.
    return dict(table.items()).get(name, _ABSENT)


def _needs_restart(key: str, old: object, value: object) -> bool:
    if key.rpartition(".")[2] in _LOADING:
        return False
    is_path = isinstance(old, Path) or isinstance(value, Path)
    return is_path or any(key == one or key.startswith(f"{one}.") for one in _RESTART)


def _is_idle(name: str, settings: Settings) -> bool:
    providers = {table: type(value) for table, value in settings.providers.tables.items()}
    key = find(tuple(name.split(".")), providers)
    return isinstance(key, Key) and key.idle


def _counts_at_load(key: str, settings: Settings) -> bool:
    if key in _LOADING_OF_ALL:
        return True
    area, _, rest = key.partition(".")
    name, _, field = rest.partition(".")
    table = settings.providers.tables.get(name)
    return area == "providers" and table is not None and table.provider_type == "candle" and field in _LOADING


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str) -> Iterator[str]:
    """The keys whose values differ, sorted; a table that only one of them has is one key."""
    for name in sorted(one.keys() | other.keys()):
        key = f"{prefix}{name}"
        before, after = one.get(name, _ABSENT), other.get(name, _ABSENT)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differing(before, after, f"{key}.")
        elif before != after:
            yield key
