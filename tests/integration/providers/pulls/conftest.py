"""Fixtures of the pull tests: a server, a store, pullers of a catalog, a small disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmspell_providers.library.catalog import Catalog
from llmspell_providers.library.store import Store
from llmspell_providers.pulls.pull import Puller
from tests.support.hub_server import HubServer, hub_server
from tests.support.pulling import MODEL, SHA256, catalog_file


@pytest.fixture
def server() -> Iterator[HubServer]:
    with hub_server() as running:
        running.repositories["org/repo"] = {"README.md": b"# repo", "tiny.Q4_K_M.gguf": MODEL}
        running.files["tiny.gguf"] = MODEL
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "models")


@pytest.fixture
def puller_of(store: Store, server: HubServer, tmp_path: Path) -> Callable[..., Puller]:
    """Makes a puller whose catalog knows `tiny` at some sources; by default at the hub, with its sum."""

    def make(
        *sources: str, sha256: str | None = SHA256, environment: dict[str, str] | None = None, to: Store = store
    ) -> Puller:
        path = catalog_file(tmp_path, list(sources) or ["hf://org/repo/tiny.Q4_K_M.gguf"], sha256)
        return Puller(
            to,
            tmp_path / "pull.log",
            environment={**server.environment(), **(environment or {})},
            catalog=Catalog.load(path),
        )

    return make
