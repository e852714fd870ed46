"""The check of files' lengths finds what is too long."""

from __future__ import annotations

from pathlib import Path

from tests.file_lengths import MOST, too_long


def test_a_file_that_is_too_long_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "llmspell_kernel" / "scripting" / "lua"
    folder.mkdir(parents=True)
    (folder / "good.py").write_text("x = 1\n" * MOST)
    (folder / "long.py").write_text("x = 1\n" * (MOST + 1))
    (told,) = too_long(tmp_path)
    assert told.startswith("llmspell_kernel/scripting/lua/long.py: 401 lines, more than 400")


def test_the_sources_are_short_enough() -> None:
    assert list(too_long()) == []
