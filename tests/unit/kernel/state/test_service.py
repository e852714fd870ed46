"""The state service: entries by key, scope and client, versions, times and limits, in a file and in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.state.service import ABSENT, StateService
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import ConfigError, Conflict, InvalidRequest
from llmspell_protocol.kept_values import kept

ME = "conn"


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def settings(path: Path | None, **values: Any) -> Settings:
    place = {"backend_type": "memory"} if path is None else {"backend_type": "sqlite", "path": str(path)}
    return Settings.check({"runtime": {"state_persistence": {**place, **values}}})


def run(
    path: Path | None, body: Callable[[StateService], Awaitable[None]], clock: Clock | None = None, **values: Any
) -> None:
    async def main() -> None:
        service = StateService(lambda: settings(path, **values), clock or Clock())
        try:
            await body(service)
        finally:
            await service.close()

    asyncio.run(main())


@pytest.fixture(params=["sqlite", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "state.db" if request.param == "sqlite" else None


async def value(service: StateService, key: str, scope: str = "global", key_id: str = ME) -> Any:
    found = await service.get(key_id, scope, key)
    return None if found is None else found.value


def test_what_was_set_is_there_by_client_scope_and_key(path: Path | None) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "theme", "dark")
        assert await value(service, "theme") == "dark"
        assert await value(service, "theme", scope="user:1") is None
        assert await value(service, "theme", key_id="other") is None
        assert await service.delete(ME, "global", "theme") is True
        assert await service.delete(ME, "global", "theme") is False
        assert await value(service, "theme") is None

    run(path, body)


def test_a_value_comes_back_as_what_it_was(path: Path | None) -> None:
    values = [1, 1.0, "", {}, [], None, b"\xff", float("inf"), 1 << 80, {"a": [None, {"b": {}}]}, {"$type": "null"}]

    async def body(service: StateService) -> None:
        for one in values:
            await service.set(ME, "global", "key", kept(one))
            found = await value(service, "key")
            assert found == kept(one)
            assert type(found) is type(kept(one))

    run(path, body)


def test_a_write_that_expects_a_version_fails_where_there_is_another(path: Path | None) -> None:
    async def body(service: StateService) -> None:
        first = await service.set(ME, "global", "n", 1, version=ABSENT)
        with pytest.raises(Conflict, match="'n' was changed"):
            await service.set(ME, "global", "n", 2, version=ABSENT)
        second = await service.set(ME, "global", "n", 2, version=first)
        assert second > first
        with pytest.raises(Conflict):
            await service.set(ME, "global", "n", 3, version=first)
        with pytest.raises(Conflict):
            await service.delete(ME, "global", "n", version=first)
        assert await value(service, "n") == 2
        assert await service.delete(ME, "global", "n", version=second)
        assert await service.set(ME, "global", "n", 1, version=ABSENT) > second

    run(path, body)


def test_an_entry_is_gone_when_its_time_has_come_and_stays_gone_whatever_the_clock_does(path: Path | None) -> None:
    clock = Clock()

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "token", "x", ttl_s=60)
        clock.now += 59.9
        assert await value(service, "token") == "x"
        clock.now += 0.1
        assert await value(service, "token") is None
        clock.now -= 3600
        assert await value(service, "token") is None

    run(path, body, clock)


def test_the_keys_of_a_scope_are_sorted_and_those_that_expired_are_not_among_them(path: Path | None) -> None:
    clock = Clock()

    async def body(service: StateService) -> None:
        for key in ("b", "a", "B", "ä"):
            await service.set(ME, "cache", key, 1)
        await service.set(ME, "cache", "short", 1, ttl_s=1)
        await service.set(ME, "global", "other", 1)
        assert await service.keys(ME, "custom:cache") == ["B", "a", "b", "short", "ä"]
        clock.now += 1
        assert await service.keys(ME, "cache") == ["B", "a", "b", "ä"]
        clock.now -= 1
        assert await service.keys(ME, "cache") == ["B", "a", "b", "ä"]

    run(path, body, clock)


def test_setting_anew_without_a_ttl_keeps_the_entry(path: Path | None) -> None:
    clock = Clock()

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "token", "x", ttl_s=60)
        await service.set(ME, "global", "token", "y")
        clock.now += 100
        assert await value(service, "token") == "y"

    run(path, body, clock)


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf")])
def test_a_ttl_that_is_no_time_is_refused(ttl_s: float) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match="ttl has to be more than 0"):
            await service.set(ME, "global", "k", 1, ttl_s=ttl_s)

    run(None, body)


def test_a_value_beyond_the_limit_is_refused_and_the_old_one_stays(path: Path | None) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "k", "ä" * 49)
        with pytest.raises(InvalidRequest, match="has 102 bytes as JSON, and may have 100"):
            await service.set(ME, "global", "k", "ä" * 50)
        assert await value(service, "k") == "ä" * 49

    run(path, body, max_state_size_bytes=100)


def test_what_looks_like_a_form_and_is_none_is_refused(path: Path | None) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match=r"'k' can't be kept: value\.a"):
            await service.set(ME, "global", "k", {"a": {"$type": "dog"}})

    run(path, body)


def test_state_that_is_switched_off_says_how_to_switch_it_on() -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match="switched off") as told:
            await service.get(ME, "global", "k")
        assert told.value.hint == "set runtime.state_persistence.enabled = true"

    run(None, body, enabled=False)


def test_a_file_is_there_for_the_next_kernel_and_memory_is_not(tmp_path: Path, path: Path | None) -> None:
    async def first(service: StateService) -> None:
        await service.set(ME, "global", "k", 1)

    async def second(service: StateService) -> None:
        assert await value(service, "k") == (1 if path else None)

    run(path, first)
    run(path, second)
