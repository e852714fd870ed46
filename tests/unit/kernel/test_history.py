"""The history of cells: what is kept, found and ended, over contexts, kernels and keys, in a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.engines import LUA
from llmspell_kernel.services.history import service as history
from llmspell_kernel.services.history.rows import Row
from llmspell_kernel.services.history.service import HistoryService
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import InvalidRequest, StorageDamaged, StorageError
from llmspell_protocol.standard_requests import HistoryRequest
from tests.support.script_harness import Frontend


class Kernel:
    """One kernel's history over a home, and contexts in it that run nothing."""

    def __init__(self, home: Path, **settings: Any) -> None:
        checked = Settings.check({"kernel": settings})
        self.service = HistoryService(lambda: checked, home, {"OPENAI_API_KEY": "sk-verysecretkey123"})

    def context(self) -> Context:
        workers: Any = None  # No cell runs in it.
        return Context("shared", LUA, workers)

    def run(self, context: Context, line: int, code: str, output: str | None = None, key: str = "conn") -> None:
        request = Request("1", "execute_request", {}, Caller(client="c", session="s", key_id=key), Frontend())
        kept = self.service.begin(context, request, line, code)
        if kept is not None and output is not None:
            kept.ended(output)

    async def found(self, context: Context, key: str = "conn", **wanted: Any) -> list[tuple[int, int, str]]:
        rows = await self.service.find(context, key, HistoryRequest(**wanted))
        return [(row.session, row.line, row.code) for row in rows]


def running(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(body(), 60))  # type: ignore[arg-type]  # a coroutine


def test_the_last_cells_of_all_sessions_come_the_oldest_first(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        one, two = kernel.context(), kernel.context()
        kernel.run(one, 1, "a = 1")
        kernel.run(two, 1, "b = 1")
        kernel.run(one, 2, "a + 1", "2")
        assert await kernel.found(one, hist_access_type="tail", n=2) == [(2, 1, "b = 1"), (1, 2, "a + 1")]
        rows = await kernel.service.find(one, "conn", HistoryRequest("tail", output=True, n=2))
        assert rows == [Row(2, 1, "b = 1", None), Row(1, 2, "a + 1", "2")]
        await kernel.service.close()

    running(body)


def test_what_a_kernel_has_kept_is_there_for_the_next_and_for_one_beside_it(tmp_path: Path) -> None:
    async def body() -> None:
        first, second = Kernel(tmp_path), Kernel(tmp_path)
        one, two = first.context(), second.context()
        first.run(one, 1, "x = 1")
        assert await first.found(one, hist_access_type="tail", n=9) == [(1, 1, "x = 1")]
        second.run(two, 1, "y = 1")
        assert await second.found(two, hist_access_type="tail", n=9) == [(1, 1, "x = 1"), (2, 1, "y = 1")]
        await asyncio.gather(first.service.close(), second.service.close())
        third = Kernel(tmp_path)
        three = third.context()
        assert len(await third.found(three, hist_access_type="tail", n=9)) == 2
        assert await third.found(three, session=-1) == [(2, 1, "y = 1")], "it has no cell of its own so far"
        third.run(three, 1, "z = 1")
        assert await third.found(three) == [(3, 1, "z = 1")]
        assert await third.found(three, session=-2) == [(1, 1, "x = 1")]
        assert await third.found(three, session=-3) == []
        await third.service.close()

    running(body)


def test_a_range_is_of_lines_without_the_last(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        for line in range(1, 6):
            kernel.run(context, line, f"{line}")
        assert [line for _, line, _ in await kernel.found(context, start=2, stop=4)] == [2, 3]
        assert [line for _, line, _ in await kernel.found(context, session=1, start=4)] == [4, 5]
        assert [line for _, line, _ in await kernel.found(context, start=-2)] == [4, 5]
        assert await kernel.found(context, session=7) == []
        await kernel.service.close()

    running(body)


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        ({"pattern": "print*"}, ["print(1)", "print(2)", "print(1)"]),
        ({"pattern": "print*", "n": 2}, ["print(2)", "print(1)"]),
        ({"pattern": "print*", "unique": True}, ["print(2)", "print(1)"]),
        ({"pattern": "print(?)", "unique": True, "n": 1}, ["print(1)"]),
        ({"pattern": "*[1]*"}, ["t[1] = 2"]),
        ({"pattern": "PRINT*"}, []),
        ({}, ["print(1)", "t[1] = 2", "print(2)", "print(1)"]),
    ],
)
def test_a_search_is_by_pattern(tmp_path: Path, wanted: dict[str, Any], codes: list[str]) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        for line, code in enumerate(("print(1)", "t[1] = 2", "print(2)", "print(1)"), 1):
            kernel.run(context, line, code)
        found = await kernel.found(context, hist_access_type="search", **wanted)
        assert [code for _, _, code in found] == codes
        await kernel.service.close()

    running(body)


def test_a_pattern_has_a_length(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        assert await kernel.found(context, hist_access_type="search", pattern="*" * history.LONGEST_PATTERN) == []
        with pytest.raises(InvalidRequest, match="a pattern has at most 1000 characters, got 1001"):
            await kernel.found(context, hist_access_type="search", pattern="*" * (history.LONGEST_PATTERN + 1))

    running(body)


def test_clients_with_another_key_see_nothing_of_each_other(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        kernel.run(context, 1, "mine")
        kernel.run(context, 2, "theirs", key="other")
        assert await kernel.found(context, hist_access_type="tail", n=9) == [(1, 1, "mine")]
        assert await kernel.found(context, "other", hist_access_type="search") == [(1, 2, "theirs")]
        assert await kernel.found(context, "third") == []
        await kernel.service.close()

    running(body)


def test_secrets_are_taken_out_of_code_and_output(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        kernel.run(context, 1, "key = 'sk-verysecretkey123'", "api_key = 'abcdef123'")
        (row,) = await kernel.service.find(context, "conn", HistoryRequest("tail", output=True, n=1))
        assert (row.code, row.output) == ("key = '***'", "api_key = '***'")
        await kernel.service.close()

    running(body)
    assert b"verysecret" not in b"".join(file.read_bytes() for file in tmp_path.glob("history.db*"))


def test_only_so_many_cells_are_kept_of_each_key(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path, history_cells=3)
        context = kernel.context()
        kernel.run(context, 1, "other", key="other")
        for line in range(2, 8):
            kernel.run(context, line, f"{line}")
        found = await kernel.found(context, hist_access_type="tail", n=9)
        assert [code for _, _, code in found] == ["5", "6", "7"]
        assert len(await kernel.found(context, "other")) == 1
        await kernel.service.close()

    running(body)


def test_nothing_is_recorded_and_nothing_ended_where_it_is_switched_off(tmp_path: Path) -> None:
    async def body() -> None:
        kernel, off = Kernel(tmp_path), Kernel(tmp_path, history_cells=0)
        context, other = kernel.context(), off.context()
        kernel.run(context, 1, "kept")
        await kernel.service.close()
        off.run(other, 1, "not kept")
        assert await off.found(other, hist_access_type="tail", n=9) == [(1, 1, "kept")]
        await off.service.close()

    running(body)


def test_no_file_is_made_before_a_cell_is_kept(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        assert await kernel.found(kernel.context(), hist_access_type="tail", n=9) == []
        await kernel.service.close()

    running(body)
    assert list(tmp_path.iterdir()) == []


def test_very_long_cells_are_not_kept_and_long_results_cut(tmp_path: Path) -> None:
    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        kernel.run(context, 1, "x" * 100_001)
        kernel.run(context, 2, "short \ud800", "y" * 20_000)
        (row,) = await kernel.service.find(context, "conn", HistoryRequest("tail", output=True, n=9))
        assert (row.line, row.code, len(row.output or "")) == (2, "short \ufffd", 10_000)
        await kernel.service.close()

    running(body)


def test_an_answer_holds_the_newest_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_kernel.services.history.rows.MOST_CHARACTERS", 25)

    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        for line in range(1, 6):
            kernel.run(context, line, f"{line}" * 10)
        assert [line for _, line, _ in await kernel.found(context, hist_access_type="tail", n=9)] == [4, 5]
        await kernel.service.close()

    running(body)


def test_what_waits_is_bounded_and_a_damaged_file_costs_no_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(history, "MOST_WAITING", 2)
    (tmp_path / "history.db").write_bytes(b"no database at all, but long enough for a header of one" * 40)

    async def body() -> None:
        kernel = Kernel(tmp_path)
        context = kernel.context()
        for line in range(1, 5):
            kernel.run(context, line, f"{line}")
        with pytest.raises((StorageDamaged, StorageError)):
            await kernel.found(context, hist_access_type="tail", n=9)
        await kernel.service.close()

    running(body)
    assert "2 cells are not in the history: too many waited" in caplog.text
    assert "2 cells are not in the history: " in caplog.text
