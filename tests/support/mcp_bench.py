"""The kernel's source of MCP tools on the test's loop, with real workers and real servers."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.services.tools.invocation import Invocation
from llmspell_kernel.services.tools.mcp.source import McpTools
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.permissions import Permissions
from tests.support.recording_sink import RecordingSink
from tests.support.settings import settings_from

ROOT = Path(__file__).parents[2]


def server_table(name: str, *arguments: str, module: str = "mcp_server", more: str = "", env: str = "") -> str:
    """The table of a server of `tests/support`, as a user writes it."""
    listed = ", ".join(f'"{one}"' for one in ("-m", f"tests.support.{module}", *arguments))
    return (
        f'[mcp.servers.{name}]\ncommand = "{sys.executable}"\nargs = [{listed}]\n'
        f'env = {{ PYTHONPATH = "{ROOT}"{f", {env}" if env else ""} }}\n{more}\n'
    )


def wayward_table(manner: str, more: str = "") -> str:
    """The table of a server with bad manners, which is called `w`."""
    return server_table("w", manner, module="wayward_mcp", more=more, env='TOKEN = "sesame-open"')


class McpBench:
    """What a kernel does with the servers of a configuration."""

    def __init__(self, tools: McpTools, home: Path) -> None:
        self.tools = tools
        self.home = home
        self.progress: list[str] = []
        self.told: list[str] = []
        self._more = asyncio.Event()

    async def names(self) -> list[str]:
        """The names of the tools that are listed."""
        return [tool.name for tool in await self.tools.tools(Caller("client", "session"))]

    async def call(self, name: str, *, timeout_s: float = 30.0, **arguments: Any) -> ToolInvokeReply:
        """One call of a tool that its server lists."""
        found = {tool.name: tool for tool in await self.tools.of_server(name)}
        return await self.call_listed(found[name], timeout_s=timeout_s, **arguments)

    async def call_listed(self, tool: ToolDescription, *, timeout_s: float = 30.0, **arguments: Any) -> ToolInvokeReply:
        """One call of a tool that was listed before."""

        def on_progress(message: str, figures: Mapping[str, Any]) -> None:
            self.progress.append(message)

        return await self.tools.invoke(
            Invocation(
                request=Request("1", "tool_request", {}, Caller("test", ""), RecordingSink()),
                tool=tool,
                arguments=arguments,
                permissions=Permissions(),
                tables={},
                timeout_s=timeout_s,
                on_progress=on_progress,
            )
        )

    async def hears(self, text: str) -> str:
        """The first line of the kernel's log with this text, when it comes."""
        async with asyncio.timeout(60):
            while True:
                self._more.clear()
                for line in self.told:
                    if text in line:
                        return line
                await self._more.wait()

    def hear(self, record: logging.LogRecord) -> bool:
        """Takes a line of the kernel's log."""
        self.told.append(record.getMessage())
        self._more.set()
        return True


@asynccontextmanager
async def mcp_bench(toml: str, home: Path, **variables: str) -> AsyncIterator[McpBench]:
    """The servers of a configuration for the time of a block; they have ended afterwards."""
    settings = settings_from(toml, home)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **variables}
    bench = McpBench(McpTools(lambda: settings, environment, home, home), home)
    log = logging.getLogger("llmspell_kernel.services.tools.mcp.server")
    level = log.level
    log.setLevel(logging.INFO)
    log.addFilter(bench.hear)
    try:
        yield bench
    finally:
        log.removeFilter(bench.hear)
        log.setLevel(level)
        await bench.tools.close()


def tried(toml: str, home: Path, scene: Callable[[McpBench], Any], **variables: str) -> None:
    """Runs a scene with the servers of a configuration."""

    async def run() -> None:
        async with mcp_bench(toml, home, **variables) as bench:
            await scene(bench)

    asyncio.run(run())
