"""Databases of the home: transactions, versions, damage, and files that are no longer what they were."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from llmspell_kernel.storage.database import Database
from llmspell_protocol.errors import DiskFull, StorageDamaged, StorageError, StorageVersion
from llmspell_storage.opening import integrity_problems
from llmspell_storage.schema import Schema, statements

FIRST = """
CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TRIGGER no_empty BEFORE INSERT ON entries WHEN NEW.value = '' BEGIN
  SELECT RAISE(ABORT, 'empty; not taken');
END;
"""
ONE = Schema("notes", "the notes", (FIRST,))
TWO = Schema("notes", "the notes", (FIRST, "ALTER TABLE entries ADD COLUMN version INTEGER NOT NULL DEFAULT 1;"))


def run(schema: Schema, path: Path | None, body: Callable[[Database], Awaitable[None]]) -> None:
    async def main() -> None:
        database = Database(schema, path)
        try:
            await body(database)
        finally:
            await database.close()

    asyncio.run(main())


def put(key: str, value: str) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO entries (key, value) VALUES (?, ?)", (key, value))

    return work


def entries(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM entries ORDER BY key"))


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "home" / "notes.db" if request.param == "file" else None


def test_what_was_written_is_read_and_a_write_that_raises_leaves_nothing(path: Path | None) -> None:
    async def body(database: Database) -> None:
        await database.write(put("a", "1"))

        def half(connection: sqlite3.Connection) -> None:
            put("b", "2")(connection)
            raise KeyError("c")

        with pytest.raises(KeyError):
            await database.write(half)
        with pytest.raises(sqlite3.IntegrityError, match="empty; not taken"):
            await database.write(put("d", ""))
        assert await database.read(entries) == {"a": "1"}

    run(ONE, path, body)


def test_writes_happen_in_the_order_in_which_they_were_asked_for(path: Path | None) -> None:
    async def body(database: Database) -> None:
        await asyncio.gather(*(database.write(put(f"{number:03d}", str(number))) for number in range(100)))
        rows = await database.read(lambda connection: connection.execute("SELECT key FROM entries").fetchall())
        assert [key for (key,) in rows] == [f"{number:03d}" for number in range(100)]

    run(ONE, path, body)


def test_a_read_cannot_write_over_what_others_wrote_meanwhile(tmp_path: Path) -> None:
    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        assert await asyncio.gather(*(database.read(entries) for _ in range(20))) == [{"a": "1"}] * 20

    run(ONE, tmp_path / "notes.db", body)


def test_files_and_their_directory_are_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "notes.db"

    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == dict.fromkeys(modes, 384)
        assert {"notes.db", "notes.db-wal"} <= set(modes)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    run(ONE, path, body)


def test_an_older_database_is_migrated_and_its_copy_stays_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"

    async def old(database: Database) -> None:
        await database.write(put("a", "1"))

    async def new(database: Database) -> None:
        rows = await database.read(lambda connection: connection.execute("SELECT * FROM entries").fetchall())
        assert rows == [("a", "1", 1)]

    run(ONE, path, old)
    run(TWO, path, new)
    backup = tmp_path / "notes.db.version-1.backup"
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    copy = sqlite3.connect(backup)
    assert copy.execute("SELECT * FROM entries").fetchall() == [("a", "1")]
    copy.close()


def test_a_migration_that_fails_leaves_the_old_version_whole(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    broken = Schema("notes", "the notes", (*TWO.migrations, "CREATE TABLE entries (x);"))

    async def old(database: Database) -> None:
        await database.write(put("a", "1"))

    async def fails(database: Database) -> None:
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            await database.read(entries)

    run(ONE, path, old)
    run(broken, path, fails)

    async def again(database: Database) -> None:
        assert await database.read(entries) == {"a": "1"}

    run(ONE, path, again)


def test_a_newer_database_is_refused_with_both_versions_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"

    async def new(database: Database) -> None:
        await database.write(put("a", "1"))

    async def refused(database: Database) -> None:
        with pytest.raises(StorageVersion) as told:
            await database.read(entries)
        assert told.value.details["version"] == 2
        assert told.value.details["known"] == 1
        assert "version 2" in told.value.message
        assert "knows 1" in told.value.message

    run(TWO, path, new)
    before = path.read_bytes()
    run(ONE, path, refused)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(content)

    async def body(database: Database) -> None:
        for call in (database.read(entries), database.write(put("a", "1"))):
            with pytest.raises(StorageDamaged) as told:
                await call
            assert str(path) in told.value.message
            assert told.value.hint is not None
            assert "doctor --fix" in told.value.hint

    run(ONE, path, body)
    assert path.read_bytes() == content
    assert integrity_problems(path, ONE)


def test_damage_in_the_middle_of_a_file_is_told_by_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"

    async def fill(database: Database) -> None:
        def many(connection: sqlite3.Connection) -> None:
            for number in range(2000):
                put(f"{number:05d}", "x" * 50)(connection)

        await database.write(many)

    run(ONE, path, fill)
    assert integrity_problems(path, ONE) == []
    data = bytearray(path.read_bytes())
    data[8192 : len(data) - 4096] = b"\xa5" * (len(data) - 12288)
    path.write_bytes(data)
    assert integrity_problems(path, ONE)

    async def body(database: Database) -> None:
        with pytest.raises(StorageDamaged):
            await database.read(entries)

    run(ONE, path, body)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    other = sqlite3.connect(path)
    other.executescript("CREATE TABLE entries (key, value); PRAGMA user_version = 1; INSERT INTO entries VALUES (1, 2)")
    other.close()

    async def body(database: Database) -> None:
        with pytest.raises(StorageError, match="of another program"):
            await database.write(put("a", "1"))

    run(ONE, path, body)


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine')",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 7; CREATE TABLE notes (text)",
        "PRAGMA user_version = 3",
        "PRAGMA journal_mode = WAL; CREATE TABLE notes (text)",
    ],
)
def test_nothing_is_written_to_the_database_of_another_program(tmp_path: Path, script: str) -> None:
    path = tmp_path / "notes.db"
    other = sqlite3.connect(path)
    other.executescript(script)
    other.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    async def body(database: Database) -> None:
        for call in (database.read(entries), database.write(put("a", "1"))):
            with pytest.raises(StorageError, match="of another program"):
                await call

    run(ONE, path, body)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_a_database_that_another_program_writes_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    other = sqlite3.connect(path)
    other.executescript("PRAGMA journal_mode = WAL; CREATE TABLE notes (text)")
    log = tmp_path / "notes.db-wal"
    before = path.read_bytes(), log.read_bytes()

    async def body(database: Database) -> None:
        with pytest.raises(StorageError, match="of another program"):
            await database.write(put("a", "1"))

    run(ONE, path, body)
    assert (path.read_bytes(), log.read_bytes()) == before
    other.close()


@pytest.mark.parametrize("script", ["", "VACUUM", "PRAGMA journal_mode = WAL", f"PRAGMA application_id = {0x6C6C6D73}"])
def test_a_file_without_anything_in_it_and_one_whose_first_opening_was_cut_are_used(
    tmp_path: Path, script: str
) -> None:
    path = tmp_path / "notes.db"
    path.touch()
    cut = sqlite3.connect(path)
    cut.executescript(script)
    cut.close()

    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        assert await database.read(entries) == {"a": "1"}

    run(ONE, path, body)


def test_a_link_to_where_nothing_is_yet_leads_to_the_database(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "notes.db"
    link.symlink_to(tmp_path / "there" / "real.db")

    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        assert await database.read(entries) == {"a": "1"}

    run(ONE, link, body)
    assert link.is_symlink()
    assert stat.S_IMODE((tmp_path / "there" / "real.db").stat().st_mode) == 0o600


def test_a_pipe_is_no_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "notes.db")

    async def body(database: Database) -> None:
        with pytest.raises(StorageError, match=r"notes\.db: it is no file"):
            await database.read(entries)

    run(ONE, tmp_path / "notes.db", body)


def test_a_path_that_cannot_be_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "notes.db").mkdir()

    async def body(database: Database) -> None:
        with pytest.raises(StorageError, match=r"notes\.db: Is a directory"):
            await database.read(entries)

    run(ONE, tmp_path / "notes.db", body)


def test_a_file_that_was_moved_aside_is_not_written_any_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "notes.db"

    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        path.rename(tmp_path / "aside.db")
        for end in ("-wal", "-shm"):
            (tmp_path / f"notes.db{end}").rename(tmp_path / f"aside.db{end}")
        await database.write(put("b", "2"))
        assert await database.read(entries) == {"b": "2"}
        assert "was removed or replaced" in caplog.text

    run(ONE, path, body)


def test_a_copy_is_a_whole_database_of_its_own(path: Path | None, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        await database.copy(target)
        await database.write(put("b", "2"))

    run(ONE, path, body)

    async def of_copy(database: Database) -> None:
        assert await database.read(entries) == {"a": "1"}

    run(ONE, target, of_copy)


def test_two_kernels_that_open_an_older_file_at_once_both_find_it_migrated(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"

    async def old(database: Database) -> None:
        await database.write(put("a", "1"))

    async def both() -> None:
        databases = [Database(TWO, path) for _ in range(4)]
        found = await asyncio.gather(*(one.read(entries) for one in databases))
        assert found == [{"a": "1"}] * 4
        for one in databases:
            await one.close()

    run(ONE, path, old)
    asyncio.run(both())


def test_nothing_can_be_asked_for_after_the_end(path: Path | None) -> None:
    async def body(database: Database) -> None:
        await database.write(put("a", "1"))
        await database.close()
        with pytest.raises(StorageError, match="shutting down"):
            await database.write(put("b", "2"))

    run(ONE, path, body)


def test_a_script_of_sql_is_taken_apart_at_its_statements() -> None:
    assert [one.split(None, 2)[:2] for one in statements(FIRST + "SELECT 1")] == [
        ["CREATE", "TABLE"],
        ["CREATE", "TRIGGER"],
        ["SELECT", "1"],
    ]


def test_a_database_in_memory_has_a_limit_and_keeps_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_storage.opening.MAX_MEMORY_BYTES", 1 << 20)

    async def body(database: Database) -> None:
        await database.write(put("a", "x" * 500_000))
        with pytest.raises(DiskFull, match="no room for the notes: memory") as told:
            await database.write(put("b", "x" * 1_000_000))
        assert told.value.hint == (
            "remove what is no longer needed, or keep it in a file; what was kept before is untouched"
        )
        assert list(await database.read(entries)) == ["a"]
        await database.write(put("c", "y"))

    run(ONE, None, body)
