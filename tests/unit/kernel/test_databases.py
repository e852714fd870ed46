"""The databases of a home: every one that a service opens is examined, and what is wrong with it is told."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from llmspell_kernel.services.databases import databases
from llmspell_kernel.services.state.tables import SCHEMA
from llmspell_profiles.schema.settings import Settings
from llmspell_storage.opening import opened

KERNEL = Path(__file__).parents[3] / "llmspell_kernel"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of the backend in memory, beside which a file may be there from before."""
    return Settings.check({"runtime": {"state_persistence": {"path": str(tmp_path / "state.db")}}})


def test_every_database_that_a_service_opens_is_in_the_table() -> None:
    schemas = [
        f"{path.relative_to(KERNEL.parent).with_suffix('').as_posix().replace('/', '.')}:{name}"
        for room in (KERNEL / "services", KERNEL.parent / "llmspell_rag")
        for path in room.rglob("*.py")
        for name in re.findall(r"^([A-Z_]+) = Schema\(", path.read_text(), re.MULTILINE)
    ]
    table = (KERNEL / "services" / "databases.py").read_text()
    assert schemas
    assert [schema for schema in schemas if f'"{schema}"' not in table] == []


def test_a_home_without_databases_has_none(settings: Settings, tmp_path: Path) -> None:
    assert list(databases(settings, tmp_path)) == []


def test_a_sound_database_is_told_with_its_version(settings: Settings, tmp_path: Path) -> None:
    opened(SCHEMA, tmp_path / "state.db").close()
    (found,) = databases(settings, tmp_path)
    assert (found.name, found.version, found.known_version, found.problems) == ("state", 1, 1, [])
    assert (found.path, found.bytes) == (str(tmp_path / "state.db"), (tmp_path / "state.db").stat().st_size)


def test_a_damaged_database_is_told_and_left_as_it_is(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"nothing" * 1000)
    (found,) = databases(settings, tmp_path)
    assert (found.version, found.problems) == (None, ["file is not a database"])
    assert (tmp_path / "state.db").read_bytes() == b"nothing" * 1000


def test_a_database_of_a_later_version_is_told_with_both(settings: Settings, tmp_path: Path) -> None:
    opened(SCHEMA, tmp_path / "state.db").close()
    connection = sqlite3.connect(tmp_path / "state.db")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    (found,) = databases(settings, tmp_path)
    assert (found.version, found.known_version, found.problems) == (9, 1, [])
