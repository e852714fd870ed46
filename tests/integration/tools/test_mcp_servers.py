"""A server written with the official package: listed, called, cancelled, ended, started again, and changed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmspell_protocol.errors import ConfigError, Timeout, Unavailable, WorkerCrashed
from tests.support.mcp_bench import ROOT, McpBench, mcp_bench, server_table, tried
from tests.support.settings import settings_from

TRIED = server_table("tried", env='TOKEN = { secret = "door", prefix = "Bearer " }, SEEN = { variable = "SEEN" }')
WITHOUT_SECRETS = server_table("tried")


@pytest.fixture
def address() -> Iterator[str]:
    """The URL of the same server over HTTP."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.mcp_server", "--http"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    try:
        port = server.stdout.readline().strip()
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_a_server_brings_its_tools_and_answers_with_what_the_protocol_has(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert bench.tools.pids == []  # no server is started before it is needed
        tools = {tool.name: tool for tool in await bench.tools.tools("")}
        assert tools["tried/add"].description == "Adds two numbers."
        assert tools["tried/add"].parameters["required"] == ["a", "b"]
        assert tools["tried/add"].security_level == "restricted"
        assert tools["tried/add"].source == "mcp tried"
        assert bench.tools.problems == ()

        sum_of = await bench.call("tried/add", a=1, b=2)
        assert (sum_of.success, sum_of.output, sum_of.text) == (True, 3.0, "3.0")
        weather = await bench.call("tried/weather", city="Rome")
        assert weather.result == {"city": "Rome", "degrees": 21.5, "next": [20, 19]}
        assert weather.metadata == {"server": "tried"}

        shown = await bench.call("tried/picture")
        assert shown.text == "a pixel\nremember\nreadme: file:///readme.md"
        assert [(one["type"], one["format"]) for one in shown.media] == [("image", "png"), ("audio", "wav")]
        assert shown.fields["resources"] == [
            {"uri": "memo://1", "mime_type": "text/plain", "text": "remember"},
            {"uri": "file:///readme.md", "name": "readme", "description": "what to read"},
        ]

        counted = await bench.call("tried/count", to=3)
        assert counted.output == "counted"
        assert bench.progress[0] == "at 1"

        refused = await bench.call("tried/add", a="one")
        assert not refused.success
        assert refused.error is not None
        assert "2 validation errors" in refused.error.message

    tried(WITHOUT_SECRETS, tmp_path, scene)


def test_a_server_gets_path_home_and_what_is_named_and_its_secrets_are_not_told(tmp_path: Path) -> None:
    from llmspell_profiles.credentials.key_store import KeyStore

    KeyStore(tmp_path).add("door", "sesame-open", "file")

    async def scene(bench: McpBench) -> None:
        seen = await bench.call("tried/environment")
        assert (
            {"HOME", "PATH", "PYTHONPATH", "SEEN", "TOKEN"}
            <= {*seen.output}
            <= {
                *("HOME", "PATH", "PYTHONPATH", "SEEN", "TOKEN", "LC_CTYPE")  # the last is Python's own
            }
        )
        assert (await bench.call("tried/variable", called="TOKEN")).output == "Bearer sesame-open"
        assert (await bench.call("tried/variable", called="SEEN")).output == "a word"
        failed = await bench.call("tried/fail", secret="TOKEN")
        assert not failed.success
        assert "sesame" not in repr(failed)
        assert not any("sesame" in line for line in bench.told)

    tried(TRIED, tmp_path, scene, SEEN="a word", UNSEEN="another")


def test_a_missing_secret_or_variable_is_told_with_the_command_that_helps(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.names() == []
        assert len(bench.tools.problems) == 1
        assert "no key 'door' is stored (llmspell keys add door)" in bench.tools.problems[0]
        with pytest.raises(ConfigError) as caught:
            await bench.tools.of_server("tried/add")
        assert caught.value.details["server"] == "tried"

    tried(TRIED, tmp_path, scene)


def test_lists_allow_and_deny_tools_and_a_level_is_of_all(tmp_path: Path) -> None:
    table = server_table("tried", more='allow = ["a*", "e*"]\ndeny = ["end"]\nsecurity_level = "privileged"')

    async def scene(bench: McpBench) -> None:
        tools = await bench.tools.tools("")
        assert [tool.name for tool in tools] == ["tried/add", "tried/environment"]
        assert {tool.security_level for tool in tools} == {"privileged"}

    tried(table, tmp_path, scene)


def test_a_call_that_takes_too_long_or_is_cancelled_is_cancelled_in_the_server(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        marker = tmp_path / "marker"
        with pytest.raises(Timeout) as caught:
            await bench.call("tried/wait", timeout_s=2, marker=str(marker))
        assert caught.value.details == {"server": "tried", "timeout_s": 2}
        # It does one message after the other: what it answers now was asked for after the call was cancelled.
        assert (await bench.call("tried/add", a=1, b=1)).output == 2
        assert marker.read_text() == "cancelled"

        marker.unlink()
        call = asyncio.create_task(bench.call("tried/wait", marker=str(marker)))
        async with asyncio.timeout(30):
            while not marker.exists():
                await bench.call("tried/add", a=1, b=1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(30):
            while marker.read_text() != "cancelled":
                await bench.call("tried/add", a=1, b=1)

    tried(WITHOUT_SECRETS, tmp_path, scene)


def test_a_server_that_ends_in_a_call_is_told_to_all_calls_and_started_again_by_the_next(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        marker = tmp_path / "marker"
        waiting = asyncio.create_task(bench.call("tried/wait", marker=str(marker)))
        async with asyncio.timeout(30):
            while not marker.exists():
                await bench.call("tried/add", a=1, b=1)
        with pytest.raises(WorkerCrashed, match="MCP server 'tried' ended during tool 'end': it ended with status 3"):
            await bench.call("tried/end", status=3)
        with pytest.raises(WorkerCrashed, match="tool 'wait': it ended with status 3"):
            await waiting
        await bench.hears("MCP server 'tried' has ended: it ended with status 3; the next use starts it again")
        assert (await bench.call("tried/add", a=1, b=1)).output == 2
        assert len([line for line in bench.told if "is ready" in line]) == 2

    tried(WITHOUT_SECRETS, tmp_path, scene)


def test_a_killed_server_and_a_killed_worker_are_started_again(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        tool = next(tool for tool in await bench.tools.tools("") if tool.name == "tried/add")
        worker = psutil.Process(bench.tools.pids[0])
        server = worker.children()[0]
        server.kill()
        assert "by signal SIGKILL" in await bench.hears("has ended")
        bench.told.clear()
        assert (await bench.call_listed(tool, a=1, b=1)).output == 2
        assert bench.progress == ["MCP server 'tried' is started again (it ended by signal SIGKILL)"]

        worker = psutil.Process(bench.tools.pids[0])
        server = worker.children()[0]
        worker.kill()
        await bench.hears("has ended")
        psutil.wait_procs([server], timeout=20)
        assert not server.is_running()
        assert (await bench.call_listed(tool, a=1, b=1)).output == 2

    tried(WITHOUT_SECRETS, tmp_path, scene)


def test_a_server_that_says_that_its_tools_have_changed_is_asked_again(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert "tried/grown" not in await bench.names()
        await bench.call("tried/grow")
        async with asyncio.timeout(30):
            while "tried/grown" not in await bench.names():
                await bench.call("tried/add", a=1, b=1)
        assert (await bench.call("tried/grown")).output == "new"

    tried(WITHOUT_SECRETS, tmp_path, scene)


def test_new_settings_end_and_start_servers_and_leave_the_others_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with mcp_bench(server_table("one") + server_table("two"), tmp_path) as bench:
            assert {name.partition("/")[0] for name in await bench.names()} == {"one", "two"}
            marker = tmp_path / "marker"
            waiting = asyncio.create_task(bench.call("two/wait", timeout_s=6, marker=str(marker)))
            async with asyncio.timeout(30):
                while not marker.exists():
                    await bench.call("two/add", a=1, b=1)
            one, _ = bench.tools.pids
            changed = server_table("one", more='allow = ["add"]') + server_table("three")
            bench.tools.reconfigure(settings_from(changed, tmp_path))
            names = await bench.names()
            assert [name for name in names if name.startswith("one/")] == ["one/add"]
            assert {name.partition("/")[0] for name in names} == {"one", "three"}
            assert bench.tools.pids[0] == one
            assert not waiting.done()  # what runs goes on with what it has
            with pytest.raises(Timeout):
                await waiting

    asyncio.run(scene())


def test_the_same_server_over_http(tmp_path: Path, address: str) -> None:
    table = f'[mcp.servers.far]\nurl = "{address}"\nheaders = {{ Authorization = {{ variable = "WORD" }} }}\n'

    async def scene(bench: McpBench) -> None:
        assert "far/add" in await bench.names()
        assert (await bench.call("far/add", a=1, b=2)).output == 3
        assert (await bench.call("far/count", to=2)).output == "counted"
        assert bench.progress[0] == "at 1"
        await bench.call("far/grow")
        async with asyncio.timeout(30):
            while "far/grown" not in await bench.names():
                await bench.call("far/add", a=1, b=1)
        with pytest.raises(Timeout):
            await bench.call("far/wait", timeout_s=1, marker=str(tmp_path / "marker"))
        async with asyncio.timeout(30):
            while (tmp_path / "marker").read_text() != "cancelled":
                await bench.call("far/add", a=1, b=1)
        with pytest.raises((Unavailable, WorkerCrashed)):
            await bench.call("far/end", status=1)

    tried(table, tmp_path, scene, WORD="Bearer x")


def test_an_address_where_nothing_answers_is_a_problem_of_the_list(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.names() == []
        assert "MCP server 'far' can't be started" in bench.tools.problems[0]

    tried('[mcp.servers.far]\nurl = "http://127.0.0.1:9/mcp"\n', tmp_path, scene)


def test_a_name_of_no_server_starts_none(tmp_path: Path) -> None:
    async def scene(bench: McpBench) -> None:
        assert await bench.tools.of_server("calculator") == ()
        assert await bench.tools.of_server("other/add") == ()
        assert await bench.tools.of_server("tried") == ()
        assert bench.tools.pids == []
        bench.tools.reconfigure(settings_from("", tmp_path))
        with pytest.raises(KeyError):
            await bench.call("tried/add")

    tried(WITHOUT_SECRETS, tmp_path, scene)
