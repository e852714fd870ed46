"""Versions of what is kept: schemas that values have to fit, and changes from one version to the next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.state.copies import Copies
from llmspell_kernel.services.state.migrations import Migrations
from llmspell_kernel.services.state.service import StateService
from llmspell_protocol.errors import ConfigError, InvalidRequest
from tests.support.state_bench import StateBench

ME = "conn"


@pytest.fixture
def schemas(state_bench: StateBench, tmp_path: Path) -> Path:
    """The schema directory, with one version besides the first."""
    directory = tmp_path / "schemas"
    directory.mkdir()
    state_bench.values |= {"schema_directory": str(directory), "migration_enabled": True}
    write(directory, 1, values={"user:*": {"years": {"type": "integer"}}})
    write(
        directory,
        2,
        values={"user:*": {"age": {"type": "integer", "minimum": 0}}, "global": {"theme": {"enum": ["dark", "light"]}}},
        changes=[
            {"scope": "user:*", "rename": "years", "to": "age"},
            {"default": "theme", "value": "dark"},
            {"remove": "tmp_*"},
        ],
    )
    return directory


def write(directory: Path, version: int, **content: Any) -> None:
    (directory / f"{version}.json").write_text(json.dumps(content))


def migrations(service: StateService) -> Migrations:
    return Migrations(service, Copies(service))


async def everything(service: StateService, key_id: str = ME) -> dict[str, Any]:
    found, _ = await service.page(key_id, "global", ["all"])
    return {f"{one.scope}:{one.key}": one.value for one in found}


def test_a_migration_changes_what_is_there_and_what_can_be_written(state_bench: StateBench, schemas: Path) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "user:1", "years", 30)
        await service.set(ME, "global", "tmp_a", 1)
        await service.set(ME, "global", "theme", "pink")
        await service.delete(ME, "global", "theme")
        await service.set("other", "user:1", "years", 40)
        with pytest.raises(InvalidRequest, match=r"'years' does not fit version 1 of its schema at '/': \"x\" is not"):
            await service.set(ME, "user:1", "years", "x")
        assert await migrations(service).migrate(ME, 2) == (1, 2, 3)
        assert await everything(service) == {"user:1:age": 30, "global:theme": "dark"}
        assert await everything(service, "other") == {"user:1:years": 40}
        with pytest.raises(InvalidRequest, match="version 2"):
            await service.set(ME, "user:1", "age", -1)
        assert await migrations(service).migrate(ME, 2) == (2, 2, 0)
        (made,) = await Copies(service).all(ME)
        assert made.id.endswith("-before-version-2")

    state_bench.run(body)


def test_a_migration_after_which_a_value_would_not_fit_changes_nothing(state_bench: StateBench, schemas: Path) -> None:
    state_bench.values["backup_on_migration"] = False

    async def body(service: StateService) -> None:
        await service.set(ME, "user:1", "years", -5)
        await service.set(ME, "global", "tmp_a", 1)
        with pytest.raises(InvalidRequest, match="less than the minimum"):
            await migrations(service).migrate(ME, 2)
        assert await everything(service) == {"user:1:years": -5, "global:tmp_a": 1}
        status = await migrations(service).status(ME)
        assert (status.current, status.known, status.targets) == (1, (1, 2), (2,))
        assert await Copies(service).all(ME) == []

    state_bench.run(body)


def test_several_versions_are_passed_one_after_the_other(state_bench: StateBench, schemas: Path) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "user:1", "years", 30)
        write(schemas, 3, changes=[{"scope": "user:?", "rename": "age", "to": "old"}])
        assert await migrations(service).migrate(ME, 3) == (1, 3, 3)
        assert await everything(service) == {"user:1:old": 30, "global:theme": "dark"}

    state_bench.run(body)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (["old_a", "old_b"], "'old_a' and 'old_b' of the scope 'user:1' would both become 'new'"),
        (["new", "old_a"], "'new' and 'old_a' of the scope 'user:1' would both become 'new'"),
    ],
)
def test_a_rename_that_would_make_one_entry_of_two_changes_nothing(
    state_bench: StateBench, schemas: Path, keys: list[str], told: str
) -> None:
    write(schemas, 2, changes=[{"remove": "gone"}, {"scope": "user:*", "rename": "old_*", "to": "new"}])

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "gone", 1)
        await service.set(ME, "user:2", "old_a", "alone in its scope")
        for key in keys:
            await service.set(ME, "user:1", key, key)
        before = await everything(service)
        with pytest.raises(InvalidRequest, match=told) as raised:
            await migrations(service).migrate(ME, 2)
        assert raised.value.details["keys"] == keys
        assert await everything(service) == before
        assert (await migrations(service).status(ME)).current == 1

    state_bench.run(body)


def test_a_rename_goes_by_scope_and_past_what_has_expired(state_bench: StateBench, schemas: Path) -> None:
    write(schemas, 2, changes=[{"scope": "user:*", "rename": "n*", "to": "new"}])

    async def body(service: StateService) -> None:
        await service.set(ME, "user:1", "name", 1)
        await service.set(ME, "user:1", "new", 2, ttl_s=60)
        await service.set(ME, "user:2", "new", 3)
        state_bench.clock.now += 61
        await migrations(service).migrate(ME, 2)
        assert await everything(service) == {"user:1:new": 1, "user:2:new": 3}

    state_bench.run(body)


@pytest.mark.parametrize("version", [0, 3, -1])
def test_a_version_that_there_is_not_is_refused(state_bench: StateBench, schemas: Path, version: int) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match=f"can't be brought to {version}") as told:
            await migrations(service).migrate(ME, version)
        assert told.value.hint == "later ones: 2"

    state_bench.run(body)


def test_migrations_that_are_switched_off_say_how_to_switch_them_on(state_bench: StateBench, schemas: Path) -> None:
    state_bench.values["migration_enabled"] = False

    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match="switched off"):
            await migrations(service).migrate(ME, 2)

    state_bench.run(body)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "it has to be an object with 'values' and 'changes'"),
        ('{"value": {}}', "it has to be an object with 'values' and 'changes'"),
        ('{"values": {"global": 5}}', "schemas stand below scope and key"),
        ('{"values": {"global": {"a": {"type": "text"}}}}', "'text' is not a type"),
        ('{"changes": {}}', "changes: has to be a list"),
        ('{"changes": [{}]}', "changes.0: has to have one of rename, default, remove"),
        ('{"changes": [{"rename": "a"}]}', "changes.0: rename takes rename, scope, to"),
        ('{"changes": [{"remove": "a", "more": 1}]}', "changes.0: remove takes remove, scope"),
        ('{"changes": [{"rename": "a", "to": ".."}]}', "Invalid state key"),
        ('{"changes": [{"default": "a", "value": {"$type": "x"}}]}', "changes.0: value is no form of a value"),
    ],
)
def test_a_file_that_is_no_version_is_told_with_the_reason(
    state_bench: StateBench, schemas: Path, content: str, why: str
) -> None:
    (schemas / "2.json").write_text(content)

    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match=r"2\.json is not a version of the state schema") as told:
            await service.set(ME, "global", "a", 1)
        assert why in told.value.message

    state_bench.run(body)


def test_a_directory_that_is_not_there_is_told(state_bench: StateBench, tmp_path: Path) -> None:
    state_bench.values["schema_directory"] = str(tmp_path / "nowhere")

    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match="nowhere"):
            await service.set(ME, "global", "a", 1)

    state_bench.run(body)
