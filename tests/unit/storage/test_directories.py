"""Directories of ours: private, and a clear error where they can't be."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from llmspell_protocol.errors import ConfigError
from llmspell_storage.directories import private_directory


def test_missing_directories_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    made = private_directory(tmp_path / "home" / "logs")

    assert [stat.S_IMODE(path.stat().st_mode) for path in (made, made.parent)] == [0o700, 0o700]
    assert private_directory(made) == made


def test_a_place_that_cannot_be_used_is_named_with_what_to_do(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    with pytest.raises(ConfigError, match=f"cannot use the directory {in_the_way}: it is a file") as caught:
        private_directory(in_the_way / "home")
    assert "LLMSPELL_HOME" in str(caught.value.hint)
    with pytest.raises(ConfigError) as caught:
        private_directory(in_the_way / "home" / "deep", "rag.vector_storage.persistence_path")
    assert caught.value.hint == "set rag.vector_storage.persistence_path to a directory that you may write to"
