"""The state service: entries by key, scope and client, versions, times and limits, in a file and in memory."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.state.places import scopes_of
from llmspell_kernel.services.state.service import ABSENT, START, StateService, Wanted
from llmspell_protocol.errors import ConfigError, Conflict, InvalidRequest
from llmspell_protocol.kept_values import kept
from tests.support.state_bench import StateBench

ME = "conn"


async def value(service: StateService, key: str, scope: str = "global", key_id: str = ME) -> Any:
    found = await service.get(key_id, scope, key)
    return None if found is None else found.value


def test_what_was_set_is_there_by_client_scope_and_key(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "theme", "dark")
        assert await value(service, "theme") == "dark"
        assert await value(service, "theme", scope="user:1") is None
        assert await value(service, "theme", key_id="other") is None
        assert await service.delete(ME, "global", "theme") is True
        assert await service.delete(ME, "global", "theme") is False
        assert await value(service, "theme") is None

    state_bench.run(body)


def test_a_value_comes_back_as_what_it_was(state_bench: StateBench) -> None:
    values = [1, 1.0, "", {}, [], None, b"\xff", float("inf"), 1 << 80, {"a": [None, {"b": {}}]}, {"$type": "null"}]

    async def body(service: StateService) -> None:
        for one in values:
            await service.set(ME, "global", "key", kept(one))
            found = await value(service, "key")
            assert found == kept(one)
            assert type(found) is type(kept(one))

    state_bench.run(body)


def test_a_write_that_expects_a_version_fails_where_there_is_another(state_bench: StateBench) -> None:
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

    state_bench.run(body)


def test_an_entry_whose_time_has_come_is_gone_and_stays_gone_whatever_the_clock_does(
    state_bench: StateBench,
) -> None:
    clock = state_bench.clock

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "token", "x", ttl_s=60)
        clock.now += 59.9
        assert await value(service, "token") == "x"
        clock.now += 0.1
        assert await value(service, "token") is None
        clock.now -= 3600
        assert await value(service, "token") is None

    state_bench.run(body)


def test_the_keys_of_a_scope_are_sorted_and_those_that_expired_are_not_among_them(state_bench: StateBench) -> None:
    clock = state_bench.clock

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

    state_bench.run(body)


def test_setting_anew_without_a_ttl_keeps_the_entry(state_bench: StateBench) -> None:
    clock = state_bench.clock

    async def body(service: StateService) -> None:
        await service.set(ME, "global", "token", "x", ttl_s=60)
        await service.set(ME, "global", "token", "y")
        clock.now += 100
        assert await value(service, "token") == "y"

    state_bench.run(body)


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf")])
def test_a_ttl_that_is_no_time_is_refused(ttl_s: float) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match="ttl has to be more than 0"):
            await service.set(ME, "global", "k", 1, ttl_s=ttl_s)

    StateBench(None).run(body)


def test_a_value_beyond_the_limit_is_refused_and_the_old_one_stays(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "k", "ä" * 49)
        with pytest.raises(InvalidRequest, match="has 102 bytes as JSON, and may have 100"):
            await service.set(ME, "global", "k", "ä" * 50)
        assert await value(service, "k") == "ä" * 49

    state_bench.values["max_state_size_bytes"] = 100
    state_bench.run(body)


def test_what_looks_like_a_form_and_is_none_is_refused(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(InvalidRequest, match=r"'k' can't be kept: value\.a"):
            await service.set(ME, "global", "k", {"a": {"$type": "dog"}})

    state_bench.run(body)


def test_state_that_is_switched_off_says_how_to_switch_it_on() -> None:
    async def body(service: StateService) -> None:
        with pytest.raises(ConfigError, match="switched off") as told:
            await service.get(ME, "global", "k")
        assert told.value.hint == "set runtime.state_persistence.enabled = true"

    StateBench(None, enabled=False).run(body)


def test_a_file_is_there_for_the_next_kernel_and_memory_is_not(state_bench: StateBench) -> None:
    async def first(service: StateService) -> None:
        await service.set(ME, "global", "k", 1)

    async def second(service: StateService) -> None:
        assert await value(service, "k") == (1 if state_bench.path else None)

    state_bench.run(first)
    state_bench.run(second)


def test_several_are_written_together_or_not_at_all(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "a", "old")
        with pytest.raises(InvalidRequest, match="Invalid state key"):
            await service.set_many(ME, [Wanted("global", "a", 1), Wanted("global", "..", 2)])
        assert await value(service, "a") == "old"
        assert await service.set_many(ME, [Wanted("global", "a", 1), Wanted("user:1", "b", 2)]) == 2
        assert (await value(service, "a"), await value(service, "b", "user:1")) == (1, 2)

    state_bench.run(body)


def test_what_is_imported_takes_the_place_of_the_scopes_that_are_named(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        for scope in ("global", "user:1", "user:2"):
            await service.set(ME, scope, "old", 1)
        await service.set("other", "user:1", "old", 1)
        await service.set_many(ME, [Wanted("user:1", "new", 1)], instead_of=scopes_of("global", ["user"]))
        found, after = await service.page(ME, "global", ["all"])
        assert [(one.scope, one.key) for one in found] == [("global", "old"), ("user:1", "new")]
        assert after is None
        assert await value(service, "old", "user:1", "other") == 1

    state_bench.run(body)


def test_pages_hold_every_entry_once_however_many_and_large_they_are(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        small = [Wanted("user:1", f"{number:05d}", number) for number in range(2500)]
        large = [Wanted("user:2", str(number), "x" * 3_000_000) for number in range(3)]
        await service.set_many(ME, [*small, *large])
        pages = []
        after: tuple[str, str] | None = START
        while after is not None:
            found, after = await service.page(ME, "global", ["user"], after)
            pages.append([(one.scope, one.key) for one in found])
        assert [len(page) for page in pages] == [1000, 1000, 501, 1, 1]
        assert [one for page in pages for one in page] == [(one.scope, one.key) for one in (*small, *large)]
        assert len(await service.keys(ME, "user:1")) == 2500

    state_bench.run(body)


def test_kinds_of_scopes_are_all_of_that_kind_and_no_other(state_bench: StateBench) -> None:
    scopes = [
        "agent:a",
        "custom",
        "custom:agents",
        "custom:session",
        "global",
        "session:1",
        "session:\U0010fffe",
        "tool:t",
    ]

    async def body(service: StateService) -> None:
        await service.set_many(ME, [Wanted(scope, "k", 1) for scope in scopes])
        assert (await service.scopes_page(ME))[0] == scopes

        async def of(*kinds: str) -> list[str]:
            return [one.scope for one in (await service.page(ME, "global", kinds))[0]]

        assert await of("session") == ["custom:session", "session:1", "session:\U0010fffe"]
        assert await of("agent", "tool", "hook") == ["agent:a", "tool:t"]
        assert await of("custom") == ["custom", "custom:agents", "custom:session"]
        assert await of() == ["global"]
        assert await service.clear(ME, "global", ["all"]) == len(scopes)
        assert (await service.scopes_page(ME))[0] == []

    state_bench.run(body)


def test_an_entry_that_is_written_with_its_ttl_kept_goes_when_it_would_have(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        await service.set(ME, "global", "n", 1, ttl_s=60)
        state_bench.clock.now += 30
        await service.set(ME, "global", "n", 2, keep_ttl=True)
        state_bench.clock.now += 29
        assert await value(service, "n") == 2
        state_bench.clock.now += 1
        assert await value(service, "n") is None
        await service.set(ME, "global", "n", 3, keep_ttl=True)
        state_bench.clock.now += 1000
        assert await value(service, "n") == 3

    state_bench.run(body)


def test_expired_entries_that_nobody_asks_for_go_step_by_step(state_bench: StateBench) -> None:
    def rows(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM entries").fetchone()[0])

    async def body(service: StateService) -> None:
        await service.set_many(ME, [Wanted("global", f"k{number}", 1, 10) for number in range(250)])
        state_bench.clock.now += 100
        left = []
        for number in range(4):
            await service.set(ME, "user:1", f"n{number}", 1)
            left.append(await service.open().read(rows) - number - 1)
        assert left == [150, 50, 0, 0]

    state_bench.run(body)


def test_two_services_on_one_file_that_write_a_key_at_once_lose_no_change(tmp_path: Path) -> None:
    first, second = StateBench(tmp_path / "state.db"), StateBench(tmp_path / "state.db")

    async def add(service: StateService) -> None:
        for _ in range(50):
            while True:
                found = await service.get(ME, "global", "n")
                try:
                    await service.set(
                        *(ME, "global", "n"),
                        1 if found is None else found.value + 1,
                        version=ABSENT if found is None else found.version,
                    )
                except Conflict:
                    continue
                break

    async def body(service: StateService) -> None:
        other = StateService(second.settings)
        await asyncio.gather(add(service), add(other), add(service))
        assert await value(service, "n") == await value(other, "n") == 150
        await other.close()

    first.run(body)


def test_what_a_value_holds_can_be_changed_without_changing_what_is_kept(state_bench: StateBench) -> None:
    async def body(service: StateService) -> None:
        held: dict[str, Any] = {"list": [1]}
        await service.set(ME, "global", "k", held)
        held["list"].append(2)
        found = await service.get(ME, "global", "k")
        assert found is not None
        found.value["list"].append(3)
        assert await value(service, "k") == {"list": [1]}

    state_bench.run(body)
