"""A kernel with MCP servers: tools among the others, a new configuration, its own end, and what it tells of secrets."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import ToolNotFound
from tests.support.kernels import KernelProcess
from tests.support.mcp_bench import server_table
from tests.support.steering import ask_kernel

TRIED = server_table("tried", env='TOKEN = { secret = "door" }')


@pytest.fixture
def config(home: Path, tmp_path: Path) -> Path:
    """The configuration file of the kernel."""
    from llmspell_profiles.credentials.key_store import KeyStore

    KeyStore(home).add("door", "sesame-open", "file")
    path = tmp_path / "llmspell.toml"
    path.write_text(TRIED)
    return path


@pytest.fixture
def served(config: Path) -> Iterator[KernelProcess]:
    """A kernel with that configuration."""
    kernel = KernelProcess(["--config", str(config)])
    try:
        yield kernel
    finally:
        kernel.stop()


def ask(client: Client, action: str, **content: Any) -> dict[str, Any]:
    """The reply to a `tool_request`."""
    return dict(client.request("tool_request", {"action": action, **content}).result().content)


def servers_of(kernel: KernelProcess) -> list[psutil.Process]:
    """The processes of MCP servers and their workers below a kernel."""
    below = psutil.Process(kernel.pid).children(recursive=True)
    return [one for one in below if {"llmspell_tools.mcp.worker", "tests.support.mcp_server"} & {*one.cmdline()}]


def test_tools_of_a_server_are_among_the_others_and_start_it_when_they_are_needed(
    served: KernelProcess, home: Path
) -> None:
    with served.client() as client:
        assert ask(client, "invoke", tool="calculator", parameters={"input": "1 + 1"})["success"]
        with pytest.raises(ToolNotFound):
            ask(client, "info", tool="no-such-tool")
        assert servers_of(served) == []

        reply = ask(client, "invoke", tool="tried/add", parameters={"a": 1, "b": 2})
        assert (reply["success"], reply["output"], reply["metadata"]) == (True, 3.0, {"server": "tried"})
        assert len(servers_of(served)) == 2

        listed = ask(client, "list")
        assert {"calculator", "tried/add"} <= {tool["name"] for tool in listed["tools"]}
        assert listed["problems"] == []
        found = ask(client, "info", tool="Tried/Add")["tool"]
        assert found["source"] == "mcp tried"
        assert found["parameters"]["required"] == ["a", "b"]
        assert [tool["name"] for tool in ask(client, "search", query="weather")["matches"]] == ["tried/weather"]
        with pytest.raises(ToolNotFound, match="tried/ad") as caught:
            ask(client, "invoke", tool="tried/ad", parameters={})
        assert caught.value.hint == "did you mean 'tried/add'?"

        failed = ask(client, "invoke", tool="tried/fail", parameters={"secret": "TOKEN"})
        assert failed["error"]["message"].endswith("no ***")
    kernel_logs = [path for path in (home / "logs").iterdir() if not path.name.startswith("mcp-")]
    assert not any("sesame" in path.read_text() for path in kernel_logs)
    assert (home / "logs" / "mcp-tried.log").stat().st_mode & 0o077 == 0


def test_a_reload_brings_servers_and_takes_them_away(served: KernelProcess, config: Path) -> None:
    with served.client() as client:
        ask(client, "invoke", tool="tried/add", parameters={"a": 1, "b": 2})
        old = servers_of(served)
        config.write_text(server_table("other"))
        applied = ask_kernel(client, "reload_config")["applied"]
        assert any(key.startswith("mcp.servers") for key in applied)
        names = {tool["name"] for tool in ask(client, "list")["tools"]}
        assert "other/add" in names
        assert "tried/add" not in names
        _, alive = psutil.wait_procs(old, timeout=20)
        assert alive == []


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_servers_end_with_their_kernel(served: KernelProcess, sign: signal.Signals) -> None:
    with served.client() as client:
        ask(client, "invoke", tool="tried/add", parameters={"a": 1, "b": 2})
    found = servers_of(served)
    assert len(found) == 2
    os.kill(served.pid, sign)
    served.process.wait(30)
    _, alive = psutil.wait_procs(found, timeout=20)
    assert alive == []
