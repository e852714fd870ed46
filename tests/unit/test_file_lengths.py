"""The check of files' lengths finds what is too long, and what need not be exempt any more."""

from __future__ import annotations

from pathlib import Path

from tests.file_lengths import MOST, too_long


def test_a_long_file_and_a_needless_exemption_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "llmspell_kernel" / "scripting" / "lua"
    folder.mkdir(parents=True)
    (folder / "good.py").write_text("x = 1\n" * MOST)
    (folder / "long.py").write_text("x = 1\n" * (MOST + 1))
    (folder / "host.py").write_text("x = 1\n")
    (folder / "worker.py").write_text("x = 1\n" * 500)
    first, second = too_long(tmp_path)
    assert first.startswith("llmspell_kernel/scripting/lua/host.py: 1 lines; take it out of EXEMPT")
    assert second.startswith("llmspell_kernel/scripting/lua/long.py: 401 lines, more than 400")


def test_the_sources_are_short_enough() -> None:
    assert list(too_long()) == []
