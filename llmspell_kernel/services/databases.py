"""The databases of a home: which there can be, and whether those that there are can be used. Blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from llmspell_kernel.services.rag.index_settings import database_path
from llmspell_protocol.areas.kernel import KernelDatabase
from llmspell_storage.opening import integrity_problems
from llmspell_storage.schema import Schema

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class _Known(NamedTuple):
    """One database: its schema (`module:NAME`), and its file by the settings and the home."""

    schema: str
    path: Callable[[Settings, Path], Path | None]
    """None: it is in memory"""


_KNOWN = (
    _Known("llmspell_kernel.services.state.tables:SCHEMA", lambda settings, _: settings.runtime.state_persistence.path),
    _Known("llmspell_kernel.services.workflows.tables:SCHEMA", lambda _, home: home / "workflows.db"),
    _Known("llmspell_kernel.services.sessions.tables:SCHEMA", lambda settings, _: settings.runtime.sessions.path),
    _Known("llmspell_rag.collections.tables:SCHEMA", lambda settings, home: database_path(settings.rag, home)),
    _Known("llmspell_kernel.services.history.tables:SCHEMA", lambda _, home: home / "history.db"),
)
"""Every database that a service opens has a line here."""


def databases(settings: Settings, home: Path) -> Iterator[KernelDatabase]:
    """The databases whose file is there, whether the settings use it or not, each examined whole."""
    for known in _KNOWN:
        path = known.path(settings, home)
        if path is not None and path.exists():
            module, _, name = known.schema.partition(":")
            schema: Schema = getattr(import_module(module), name)
            problems = integrity_problems(path, schema)
            version = None if problems else _version(path)
            yield KernelDatabase(
                name=schema.name,
                holds=schema.holds,
                path=str(path),
                bytes=path.stat().st_size,
                version=version,
                known_version=schema.version,
                problems=problems,
            )


def _version(path: Path) -> int:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()
