"""Servers that hang, lie, flood and end: each is told by a typed error, and costs neither the others nor the kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import InvalidRequest, LlmspellError, Timeout, ToolError, Unavailable, WorkerCrashed
from tests.support.mcp_bench import McpBench, mcp_bench, server_table, tried, wayward_table


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("silent", "it was not ready within 3 s"),
        ("garbage", "it does not speak MCP: what it says on standard output are no messages"),
        ("ends", "it ended with status 4"),
        ("unwilling", "not today"),
    ],
)
def test_a_server_that_does_not_start_is_a_problem_and_rests(tmp_path: Path, manner: str, why: str) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.names() == []
        said = f"MCP server 'w' can't be started: {why} (its log has more: mcp-w.log)"
        assert bench.tools.problems == (said,)
        for _ in range(5):  # the first pauses are short, and waited for
            assert await bench.names() == []
            if "is started again in" in bench.tools.problems[0]:
                break
        assert f"MCP server 'w': {why}; it is started again in" in bench.tools.problems[0]
        with pytest.raises(Unavailable) as caught:
            await bench.tools.of_server("w/echo")
        assert caught.value.details["retry_after_s"] > 0
        assert bench.tools.pids == []

    limit = "start_timeout_seconds = 3" if manner == "silent" else ""
    tried(wayward_table(manner, limit), tmp_path, scene)
    log = (tmp_path / "mcp-w.log").read_text()
    assert ("why: a missing file" in log) == (manner == "ends")


def test_a_program_that_is_not_there_is_told_with_its_name(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.names() == []
        text = "there is no not-a-program (install it, or set mcp.servers.w.command)"
        assert text in bench.tools.problems[0]

    tried('[mcp.servers.w]\ncommand = "not-a-program"\n', tmp_path, scene)


def test_a_server_that_hangs_at_its_start_keeps_no_other_from_being_listed(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        names = await bench.names()
        assert names == ["good/echo", "good/err"]
        assert "not ready within 4 s" in bench.tools.problems[0]

    good = server_table("good", module="wayward_mcp")
    tried(wayward_table("silent", "start_timeout_seconds = 4") + good, tmp_path, scene)


def test_tools_that_are_none_are_left_out_one_by_one(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        tools = {tool.name: tool for tool in await bench.tools.tools("")}
        assert [*tools] == ["w/echo", "w/odd", "w/talkative"]
        problems = "\n".join(bench.tools.problems)
        for text in (
            "it lists what is no tool",
            "the name 'a b' is none that a tool can have",
            r"the name '\x1b[2J' is none",
            "list: its schema is no JSON Schema",
            "array: its schema is not an object's",
            "mistyped: its schema is no JSON Schema",
            "far: its schema refers to 'http://127.0.0.1:1/x', outside itself",
            "deep: its schema is no JSON Schema: nested deeper than 128 levels",
            "large: its schema has 100037 bytes",
            "echo is listed twice",
        ):
            assert f"MCP server 'w': {text}" in problems
        told = tools["w/talkative"].description
        assert len(told) == 2000
        assert "\x1b" not in told
        assert "\u202e" not in told
        assert (await bench.call("w/echo", a=1)).text == '{"a": 1}'

    tried(wayward_table("bad_tools"), tmp_path, scene)


def test_a_list_without_an_end_is_cut(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.names() == ["w/echo", "w/err"]
        assert bench.tools.problems == ("MCP server 'w': its list of tools has no end; 2 are taken",)

    tried(wayward_table("endless"), tmp_path, scene)


@pytest.mark.parametrize(
    ("manner", "kind", "text"),
    [
        ("other_id", Timeout, "tool 'err' of MCP server 'w' timed out after 2s"),
        ("deep", ToolError, "nested deeper than 128 levels"),
        ("large_result", ToolError, "its result has 17.8 MB, and 16 MB at most are possible"),
        ("many_values", ToolError, "its result can't be carried: at most 262144 lists and maps"),
        ("no_result", ToolError, "what it answers is not what the protocol says"),
        ("no_base64", ToolError, "a picture, sound or file that is no base64"),
        ("refusing", InvalidRequest, r"tool 'err' of MCP server 'w': no \*\*\*"),
    ],
)
def test_a_wrong_answer_is_a_typed_error_of_that_call(
    tmp_path: Path, manner: str, kind: type[LlmspellError], text: str
) -> None:
    async def scene(bench: McpBench) -> None:
        assert (await bench.call("w/echo", a=1)).text == '{"a": 1}'
        with pytest.raises(kind, match=text) as caught:
            await bench.call("w/err", timeout_s=2 if manner == "other_id" else 60)
        assert type(caught.value) is kind
        assert "sesame" not in str(caught.value)
        assert (await bench.call("w/echo", a=2)).text == '{"a": 2}'
        assert len([line for line in bench.told if "is ready" in line]) == 1  # the same server

    tried(wayward_table(manner), tmp_path, scene)


@pytest.mark.parametrize(
    ("manner", "why"),
    [
        ("half", "it ended with status 7"),
        ("killed", "it ended by signal SIGKILL"),
        ("huge", "it said more than 24 MB in one line"),
        ("stray", "it does not speak MCP: what it says on standard output are no messages"),
    ],
)
def test_a_server_that_breaks_in_a_call_is_ended_and_started_again(tmp_path: Path, manner: str, why: str) -> None:
    async def scene(bench: McpBench) -> None:
        with pytest.raises(WorkerCrashed, match=f"MCP server 'w' ended during tool 'err': {why}"):
            await bench.call("w/err", timeout_s=60)
        assert (await bench.call("w/echo", a=2)).text == '{"a": 2}'

    tried(wayward_table(manner), tmp_path, scene)


def test_what_not_every_reader_takes_is_made_plain(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        reply = await bench.call("w/err")
        assert reply.result == {"a": None, "b": "\ufffd", "c": 1.2345678901234568e29}

    tried(wayward_table("nan"), tmp_path, scene)


def test_lines_beside_the_protocol_are_skipped_and_kept_in_the_log(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert (await bench.call("w/echo", a=1)).text == '{"a": 1}'

    tried(wayward_table("banner"), tmp_path, scene)
    log = tmp_path / "mcp-w.log"
    assert "on standard output, and no message: b'Welcome!'" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


def test_floods_of_notifications_and_of_progress_drown_no_answer(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        for number in range(3):
            assert (await bench.call("w/echo", timeout_s=60, a=number)).text == f'{{"a": {number}}}'

    tried(wayward_table("flood"), tmp_path, scene)

    async def talkative(bench: McpBench) -> None:
        with pytest.raises(Timeout):
            await bench.call("w/err", timeout_s=2)
        assert 0 < len(bench.progress) < 100  # of a hundred thousand

    tried(wayward_table("progress"), tmp_path, talkative)


def test_a_server_that_hears_nothing_any_more_is_ended_after_a_call_was_given_up(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        tool = next(tool for tool in await bench.tools.tools("") if tool.name == "w/echo")
        with pytest.raises(Timeout):
            await bench.call("w/err", timeout_s=1)
        assert "it answered nothing for 5 s after a call was given up" in await bench.hears("has ended")
        assert (await bench.call_listed(tool, a=1)).text == '{"a": 1}'

    tried(wayward_table("deaf"), tmp_path, scene)


def test_a_server_that_does_not_want_to_end_is_ended_with_all_that_it_has_started(tmp_path: Path) -> None:
    async def scene() -> list[psutil.Process]:
        async with mcp_bench(wayward_table("stubborn"), tmp_path) as bench:
            await bench.names()
            worker = psutil.Process(bench.tools.pids[0])
            below = worker.children(recursive=True)
            assert len(below) == 2  # the server, and what it has put into a session of its own
            return [worker, *below]

    _, alive = psutil.wait_procs(asyncio.run(scene()), timeout=20)
    assert alive == []
