"""The source of tools of MCP servers: `SERVER/TOOL` each. A server starts when its tools are listed or called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.services.tools.builtin import reply_of
from llmspell_kernel.services.tools.invocation import Invocation
from llmspell_kernel.services.tools.mcp.given import STARTED_WITH, start_values
from llmspell_kernel.services.tools.mcp.server import Server
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.background import of_no_request
from llmspell_protocol.errors import LlmspellError, ToolNotFound
from llmspell_protocol.tools.description import ToolDescription

if TYPE_CHECKING:
    from llmspell_profiles.schema.mcp import McpServer
    from llmspell_profiles.schema.settings import Settings

SEPARATOR = "/"


class McpTools:
    """The servers of `[mcp]`; belongs to the loop. Variables that they name are those of `environment`."""

    def __init__(
        self, settings: Callable[[], Settings], environment: Mapping[str, str], home: Path, log_directory: Path
    ) -> None:
        self._environment = environment
        self._home = home
        self._log_directory = log_directory
        self._ending: dict[asyncio.Task[None], Server] = {}
        self._servers = {name: self._server(name, table) for name, table in settings().mcp.servers.enabled.items()}
        self.problems: Sequence[str] = ()
        """What was wrong at the last list: servers that can't be started, and tools that are none."""

    @property
    def pids(self) -> Sequence[int]:
        """The workers' process ids."""
        return [pid for server in self._servers.values() for pid in server.pids]

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """The tools of every server, all asked side by side; those that can't be asked are in `problems`."""
        del caller
        servers = tuple(self._servers.values())
        answers = await asyncio.gather(*map(_asked, servers))
        self.problems = tuple(problem for _, problems in answers for problem in problems)
        return [tool for tools, _ in answers for tool in tools]

    async def of_server(self, name: str) -> Sequence[ToolDescription]:
        """The tools of the one server that a tool's name begins with; no other is started. Empty for any other name.

        Raises:
            LlmspellError: it can't be asked.
        """
        wanted, separator, _ = name.strip().partition(SEPARATOR)
        server = next((one for one in self._servers if _plain(one) == _plain(wanted)), None)
        return () if server is None or not separator else await _listed(self._servers[server])

    def timeout_of(self, tool: ToolDescription) -> float | None:
        """What the settings say about the longest call, in seconds; None for the tool of another source."""
        server = self._servers.get(tool.name.partition(SEPARATOR)[0])
        return None if server is None or tool.source != _source(server) else float(server.table.timeout_seconds)

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Does one call; a server's own `isError` is the operation's no.

        Raises:
            LlmspellError: as `Server.call` says.
        """
        name = invocation.tool.name
        server, _, tool = name.partition(SEPARATOR)
        if server not in self._servers:
            raise ToolNotFound(f"Tool '{name}' not found", details={"tool": name})
        frame = await self._servers[server].call(
            tool, invocation.arguments, invocation.timeout_s, invocation.on_progress
        )
        return reply_of(name, frame)

    def reconfigure(self, settings: Settings) -> None:
        """Takes new settings over: servers that are started with others end when their last call has."""
        wanted = settings.mcp.servers.enabled
        for name, server in tuple(self._servers.items()):
            table = wanted.get(name)
            if table is not None and _is_same_start(server.table, table):
                server.table = table
                continue
            del self._servers[name]
            task = of_no_request(asyncio.get_running_loop().create_task, server.retire())
            self._ending[task] = server
            task.add_done_callback(self._ending.pop)
        # In the order of the settings.
        self._servers = {name: self._servers.get(name) or self._server(name, table) for name, table in wanted.items()}

    async def close(self) -> None:
        """Ends the servers."""
        ending = dict(self._ending)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in (*ending.values(), *self._servers.values())))

    def _server(self, name: str, table: McpServer) -> Server:
        def values() -> dict[str, Any]:
            return start_values(name, server.table, self._environment, self._home)

        server = Server(name, table, values, self._log_directory)
        return server


async def _asked(server: Server) -> tuple[Sequence[ToolDescription], Sequence[str]]:
    try:
        tools = await _listed(server)
    except LlmspellError as error:
        return (), (f"{error.message} ({error.hint})" if error.hint else error.message,)
    return tools, server.problems


async def _listed(server: Server) -> Sequence[ToolDescription]:
    table = server.table
    return [
        ToolDescription(
            name=f"{server.name}{SEPARATOR}{tool['name']}",
            description=tool["description"],
            category="api",
            security_level=table.security_level,
            parameters=tool["parameters"],
            source=_source(server),
            keywords=(server.name,),
        )
        for tool in await server.tools()
        if _matches(tool["name"], table.allow) and not _matches(tool["name"], table.deny)
    ]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_same_start(one: McpServer, other: McpServer) -> bool:
    return all(getattr(one, key) == getattr(other, key) for key in STARTED_WITH)


def _source(server: Server) -> str:
    return f"mcp {server.name}"


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")
