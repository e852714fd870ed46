"""Backups of the state: whole, verified, restored for who asks, and kept as the settings say."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import sqlite3
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.state.backups import EVERYONE
from llmspell_kernel.services.state.copies import Copies
from llmspell_kernel.services.state.service import StateService
from llmspell_protocol.errors import ConfigError, InvalidRequest, NotFound, StorageDamaged
from llmspell_storage.compression import decompressed
from tests.support.state_bench import StateBench

ME = "conn"


async def keys(service: StateService, key_id: str = ME) -> list[str]:
    return await service.keys(key_id, "global")


def backup(state_bench: StateBench, **values: Any) -> None:
    state_bench.values["backup"] = {**state_bench.values["backup"], **values}


def directory(state_bench: StateBench) -> Path:
    return Path(state_bench.values["backup"]["backup_dir"])


def test_a_backup_is_restored_whole_and_for_who_asks_alone(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        await service.set(ME, "global", "a", 1)
        await service.set(ME, "global", "short", 1, ttl_s=60)
        await service.set("other", "global", "a", "theirs")
        made = await copies.back_up(ME, "first")
        assert made.count(ME) == 2
        await service.set(ME, "global", "b", 2)
        version = await service.set(ME, "global", "a", 3)
        await service.set("other", "global", "a", "changed")
        state_bench.clock.now += 61
        assert await copies.restore(ME, made.id) == 1
        assert await keys(service) == ["a"]
        found = await service.get(ME, "global", "a")
        assert found is not None
        assert found.value == 1
        assert found.version > version
        theirs = await service.get("other", "global", "a")
        assert theirs is not None
        assert theirs.value == "changed"

    state_bench.run(body)


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_a_backup_is_a_database_that_only_its_owner_may_read(state_bench: StateBench, compression: str) -> None:
    backup(state_bench, compression_type=compression, compression_level=9)

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "a", "x" * 10_000)
        made = await Copies(service).back_up(ME)
        assert made.compression == compression

    state_bench.run(body)
    files = sorted(directory(state_bench).iterdir())
    assert [file.suffix for file in files] == [{"zstd": ".zst", "gzip": ".gz", "none": ".db"}[compression], ".json"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    data = files[0].read_bytes()
    if compression != "none":
        assert len(data) < 5_000
        data = gzip.decompress(data) if compression == "gzip" else decompressed(data)
    connection = sqlite3.connect(":memory:")
    connection.deserialize(data)
    assert connection.execute("SELECT key, length(value) FROM entries").fetchall() == [("a", 10_002)]
    connection.close()


def test_a_higher_level_compresses_more(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "a", [str(number * number) for number in range(20_000)])
        sizes = []
        for level in (1, 9):
            backup(state_bench, compression_type="gzip", compression_level=level)
            sizes.append((await Copies(service).back_up(ME)).bytes)
        assert sizes[1] < sizes[0]

    state_bench.run(body)


def test_compression_that_is_switched_off_is_off(state_bench: StateBench) -> None:
    backup(state_bench, compression_enabled=False)

    async def body(service: StateService) -> None:
        assert (await Copies(service).back_up(ME)).compression == "none"

    state_bench.run(body)


def test_a_method_that_is_not_part_of_this_version_is_told(
    state_bench: StateBench, caplog: pytest.LogCaptureFixture
) -> None:
    backup(state_bench, compression_type="lz4")

    async def body(service: StateService) -> None:
        assert (await Copies(service).back_up(ME)).compression == "zstd"

    state_bench.run(body)
    assert "compressed by zstd: lz4 is not part of this version" in caplog.text


@pytest.mark.parametrize("harm", ["cut", "changed", "gone"])
def test_a_damaged_backup_is_told_and_changes_nothing(state_bench: StateBench, harm: str) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        await service.set(ME, "global", "a", 1)
        made = await copies.back_up(ME)
        assert await copies.problem(ME, made.id) is None
        (file,) = directory(state_bench).glob("*.zst")
        data = bytearray(file.read_bytes())
        if harm == "gone":
            file.unlink()
        else:
            data[-1] ^= 1
            file.write_bytes(data[:-1] if harm == "cut" else data)
        problem = await copies.problem(ME, made.id)
        assert problem is not None
        assert "is damaged" in problem
        with pytest.raises(StorageDamaged):
            await copies.restore(ME, made.id)
        assert await keys(service) == ["a"]

    state_bench.run(body)


def test_only_so_many_are_kept_and_none_that_is_too_old_but_the_newest(state_bench: StateBench) -> None:
    backup(state_bench, max_backups=3, max_backup_age=100)

    async def body(service: StateService) -> None:
        copies = Copies(service)
        made = []
        for _ in range(5):
            made.append((await copies.back_up(ME)).id)
            state_bench.clock.now += 10
        assert [one.id for one in await copies.all(ME)] == made[:1:-1]
        state_bench.clock.now += 1000
        obsolete, kept = await copies.prune(ME, dry_run=True)
        assert ([one.id for one in obsolete], kept) == (made[-2:-4:-1], 1)
        assert len(await copies.all(ME)) == 3
        await copies.prune(ME)
        assert [one.id for one in await copies.all(ME)] == made[-1:]

    state_bench.run(body)


def test_limits_count_the_backups_of_each_owner_by_themselves(state_bench: StateBench) -> None:
    backup(state_bench, max_backups=2, max_backup_age=100)

    async def body(service: StateService) -> None:
        copies = Copies(service)
        mine = await copies.back_up(ME)
        stop = await copies.back_up(EVERYONE, "stop")
        theirs = []
        for _ in range(5):
            state_bench.clock.now += 1
            theirs.append((await copies.back_up("other")).id)
        assert {one.id for one in await copies.all(ME)} == {mine.id, stop.id}
        assert [one.id for one in await copies.all("other") if one.owner == "other"] == theirs[:2:-1]

    state_bench.run(body)


def test_pruning_neither_tells_nor_removes_what_belongs_to_others(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        for owner in (ME, EVERYONE, "other"):
            for _ in range(3):
                await copies.back_up(owner)
        backup(state_bench, max_backups=1)
        for dry_run in (True, False):
            removed, kept = await copies.prune(ME, dry_run=dry_run)
            assert ({one.owner for one in removed}, len(removed), kept) == ({ME}, 2, 1)
        assert Counter(one.owner for one in await copies.all(ME)) == {ME: 1, EVERYONE: 3}
        assert Counter(one.owner for one in await copies.all("other")) == {"other": 3, EVERYONE: 3}

    state_bench.run(body)


def test_a_backup_of_one_owner_removes_what_is_too_much_of_the_others(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        for owner in (ME, "other"):
            for _ in range(3):
                await copies.back_up(owner)
        backup(state_bench, max_backups=2)
        await copies.back_up(EVERYONE, "stop")
        assert Counter(one.owner for one in await copies.all("other")) == {"other": 2, EVERYONE: 1}

    state_bench.run(body)


def test_a_clock_that_is_set_back_puts_no_backup_in_the_place_of_another(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        ids = set()
        for compression in ("zstd", "zstd", "none", "gzip"):
            backup(state_bench, compression_type=compression)
            ids.add((await copies.back_up(ME, "x")).id)
        assert len(ids) == len(await copies.all(ME)) == 4
        assert [await copies.problem(ME, id) for id in ids] == [None] * 4

    state_bench.run(body)


def test_backups_of_other_clients_are_not_seen(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        made = await copies.back_up("other")
        assert await copies.all(ME) == []
        with pytest.raises(NotFound):
            await copies.restore(ME, made.id)

    state_bench.run(body)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 65, "ü"])
def test_a_name_that_can_be_no_files_is_refused(state_bench: StateBench, name: str) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match="a backup can't be called"):
            await Copies(service).back_up(ME, name)

    state_bench.run(body)


def test_what_describes_no_backup_is_told_and_left_out(
    state_bench: StateBench, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(service: StateService) -> None:
        await Copies(service).back_up(ME)
        (directory(state_bench) / "other.json").write_text("[1]")
        assert len(await Copies(service).all(ME)) == 1

    state_bench.run(body)
    assert "other.json describes no backup" in caplog.text


A_DAY = "20200101T000000.000"
DESCRIBED = {
    "id": A_DAY,
    "owner": ME,
    "created_ms": 1,
    "bytes": 0,
    "entries": {},
    "compression": "none",
    "sha256": "0" * 64,
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../victim/settings"},
        {"id": "20200101T000000.001"},
        {"owner": 1},
        {"created_ms": "1"},
        {"created_ms": True},
        {"created_ms": 1 << 60},
        {"bytes": None},
        {"entries": [1]},
        {"entries": {ME: "1"}},
        {"compression": ["none"]},
        {"compression": "lz4"},
        {"sha256": "x"},
        {"more": 1},
    ],
)
def test_a_description_that_is_no_kernels_is_left_out_beside_a_good_one(
    state_bench: StateBench, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        made = await copies.back_up(ME)
        (directory(state_bench) / f"{A_DAY}.json").write_text(json.dumps({**DESCRIBED, **wrong}))
        assert [one.id for one in await copies.all(ME)] == [made.id]

    state_bench.run(body)
    assert f"{A_DAY}.json describes no backup" in caplog.text


def test_a_description_of_a_backup_under_its_own_name_counts(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        directory(state_bench).mkdir()
        (directory(state_bench) / f"{A_DAY}.json").write_text(json.dumps(DESCRIBED))
        assert [one.id for one in await Copies(service).all(ME)] == [A_DAY]

    state_bench.run(body)


def test_descriptions_from_elsewhere_remove_no_files_elsewhere(state_bench: StateBench, tmp_path: Path) -> None:
    backup(state_bench, max_backups=1)
    victims = [tmp_path / "victim" / name for name in ("settings.json", "settings.db")]
    victims[0].parent.mkdir()
    for file in victims:
        file.write_text("{}")
    planted = json.dumps({**DESCRIBED, "id": "../victim/settings"})
    directory(state_bench).mkdir()
    for name in ("a", A_DAY):
        (directory(state_bench) / f"{name}.json").write_text(planted)
    (directory(state_bench) / "20200102T000000.000.json").symlink_to(victims[0])

    async def body(service: StateService) -> None:
        copies = Copies(service)
        await copies.back_up(ME)
        made = await copies.back_up(ME)
        assert [one.id for one in await copies.all(ME)] == [made.id]

    state_bench.run(body)
    assert [file.read_text() for file in victims] == ["{}", "{}"]


def test_a_directory_that_cannot_be_used_is_told(state_bench: StateBench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    backup(state_bench, backup_dir=str(tmp_path / "file"))

    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match="cannot use the directory"):
            await Copies(service).back_up(ME)

    state_bench.run(body)


def test_a_kernel_that_stops_backs_up_what_it_has_written(
    state_bench: StateBench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    state_bench.values["backup_enabled"] = True

    async def looks(service: StateService) -> None:
        assert await service.get(ME, "global", "a") is None

    async def writes(service: StateService) -> None:
        await service.set(ME, "global", "a", 1)

    state_bench.run(looks)
    assert not directory(state_bench).exists()
    state_bench.run(writes)
    (description,) = directory(state_bench).glob("*-stop.json")
    assert json.loads(description.read_text())["entries"] == {ME: 1}


def test_a_backup_that_was_restored_is_as_it_was_and_nothing_else_is_left(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "a", 1)
        copies = Copies(service)
        made = await copies.back_up(ME)
        (file,) = directory(state_bench).glob("*.zst")
        before = file.read_bytes()
        await copies.restore(ME, made.id)
        assert file.read_bytes() == before
        assert not [one for one in directory(state_bench).iterdir() if one.name.startswith(".")]

    state_bench.run(body)


def test_backups_that_are_made_and_removed_at_once_do_not_get_in_each_others_way(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        copies = Copies(service)
        made = await asyncio.gather(*(copies.back_up(ME, "x") for _ in range(6)))
        assert len({one.id for one in made}) == 6
        backup(state_bench, max_backups=2)
        await asyncio.gather(*(copies.back_up(ME, "y") for _ in range(6)))
        kept = await copies.all(ME)
        assert 1 <= len(kept) <= 2
        assert [await copies.problem(ME, one.id) for one in kept] == [None] * len(kept)

    state_bench.run(body)
