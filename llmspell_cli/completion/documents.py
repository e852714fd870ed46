"""Names of collections, tenants and documents, read from the database that commands without a kernel use.

For completion alone, which has no time for a kernel. Only looks, and leaves out whatever can't be read, since a
completion can't show an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from llmspell_cli.completion.models import configuration, in_home
from llmspell_profiles.loading.home import llmspell_home

_OWNER = "conn"
"""The key of commands on this machine."""
_DIRECTORY = "LLMSPELL_RAG__VECTOR_STORAGE__PERSISTENCE_PATH"
_BUSY_S = 0.05
_MOST = 1000


def database(env: Mapping[str, str], *, config: str | None = None, profile: str | None = None) -> Path:
    """Where documents are kept; `config` and `profile` are what the command line names."""
    directory = env.get(_DIRECTORY) or (None if profile else _configured(env, config))
    return (llmspell_home(env) / "rag" if directory is None else in_home(directory, env)) / "rag.db"


def collections(path: Path, tenant: str | None) -> Iterator[str]:
    """The collections of a tenant; without one, all that have none."""
    yield from _names(
        path,
        "SELECT collection FROM places WHERE owner = ? AND tenant = ? ORDER BY collection LIMIT ?",
        _OWNER,
        tenant or "",
    )


def tenants(path: Path) -> Iterator[str]:
    """All tenants that have collections."""
    yield from _names(
        path, "SELECT DISTINCT tenant FROM places WHERE owner = ? AND tenant <> '' ORDER BY tenant LIMIT ?", _OWNER
    )


def documents(path: Path, collection: str | None, tenant: str | None, beginning: str) -> Iterator[str]:
    """The ids of a collection that begin so."""
    yield from _names(
        path,
        "SELECT id FROM documents WHERE place = (SELECT number FROM places WHERE owner = ? AND tenant = ? AND "
        "collection = ?) AND substr(id, 1, length(?)) = ? ORDER BY id LIMIT ?",
        _OWNER,
        tenant or "",
        collection or "default",
        beginning,
        beginning,
    )


def _names(path: Path, question: str, *values: str) -> list[str]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as connection:
            return [str(name) for (name,) in connection.execute(question, (*values, _MOST))]
    except sqlite3.Error:
        return []


def _configured(env: Mapping[str, str], config: str | None) -> str | None:
    """The directory that the configuration file in force sets, as it is written there."""
    table: object = configuration(env, config)
    for name in ("rag", "vector_storage", "persistence_path"):
        table = table.get(name) if isinstance(table, Mapping) else None
    return table if isinstance(table, str) else None
