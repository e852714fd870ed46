"""A model whose file was written to after it was pulled."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmspell_providers.library.damage import changed_later
from llmspell_providers.library.store import Store
from llmspell_providers.spec import ModelSpec
from tests.support.installed import install


@pytest.mark.parametrize(("age_s", "is_told"), [(-3600, False), (0, False), (3600, True)])
def test_a_file_that_is_newer_than_its_pull_is_told(tmp_path: Path, age_s: float, is_told: bool) -> None:
    install(tmp_path, "smollm2", "135m")  # pulled at the beginning of 2025
    store = Store(tmp_path / "models" / "candle")
    manifest = store.find(ModelSpec.parse("smollm2:135m"))
    assert manifest is not None
    directory = store.directory_of(manifest)
    at = datetime(2025, 1, 1, tzinfo=UTC).timestamp() + age_s
    os.utime(directory / "model.gguf", (at, at))
    told = changed_later(manifest, directory)
    assert (told is not None) == is_told
    if told is not None:
        assert told == "'model.gguf' was changed after it was pulled; llmspell model verify tells whether it is whole"
