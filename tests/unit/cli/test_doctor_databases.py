"""The check of databases: what it says of those that the kernel has found, and what `--fix` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llmspell_cli.doctor.databases import databases


def found(path: Path, **fields: Any) -> dict[str, Any]:
    sound = {"name": "state", "holds": "scripts' state", "bytes": 1, "version": 1, "known_version": 1, "problems": []}
    return {**sound, "path": str(path), **fields}


def test_sound_ones_are_named(tmp_path: Path) -> None:
    told = databases([found(tmp_path / "state.db"), found(tmp_path / "workflows.db", name="workflows")])
    assert (told.status, told.message, told.fixes) == ("ok", "state, workflows: sound", ())


def test_a_damaged_one_is_moved_aside_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).write_text(ending)
    (tmp_path / "other.db").write_text("")
    told = databases([found(path, version=None, problems=["row 5 missing", "row 6 missing"])])
    assert told.status == "fail"
    assert told.message == f"the database with scripts' state is damaged: {path}: row 5 missing"
    (fix,) = told.fixes
    fix.apply()
    names = sorted(file.name for file in tmp_path.iterdir())
    (aside,) = [name for name in names if name.startswith("state.db.damaged-") and name[-1].isdigit()]
    assert fix.action == f"move the damaged {path} to {tmp_path / aside}"
    assert names == ["other.db", aside, f"{aside}-shm", f"{aside}-wal"]
    assert (tmp_path / f"{aside}-wal").read_text() == "-wal"


def test_two_that_are_moved_in_one_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    for content in ("a", "b", "c"):
        path.write_text(content)
        (fix,) = databases([found(path, version=None, problems=["x"])]).fixes
        fix.apply()
    assert sorted(file.read_text() for file in tmp_path.iterdir()) == ["a", "b", "c"]


def test_one_of_a_later_version_is_not_moved(tmp_path: Path) -> None:
    told = databases([found(tmp_path / "state.db", version=3)])
    assert (told.status, told.fixes) == ("fail", ())
    assert "has version 3, and this llmspell knows 1" in told.message
    assert told.hint == "use a later llmspell, or another LLMSPELL_HOME"
