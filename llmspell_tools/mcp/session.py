"""One session with one server: begun, its tools listed, calls made and cancelled, ended. Knows no frames."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import anyio
import httpx2
import mcp_types as types
from mcp.client import Client
from mcp.client._transport import TransportStreams
from mcp.client.session import IncomingMessage
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from llmspell_protocol.content import to_content
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ToolError, Unauthorized, Unavailable
from llmspell_protocol.version import VERSION
from llmspell_tools.mcp.http import http_streams
from llmspell_tools.mcp.listing import MAX_TOOLS, described
from llmspell_tools.mcp.results import outcome_of
from llmspell_tools.mcp.stdio import stdio_streams
from llmspell_tools.mcp.streams import LookedOver
from llmspell_tools.outcome import Outcome

_MAX_PAGES = 100
_PROGRESS_EVERY_S = 0.1
_MOST_PROBLEMS = 20
_CLOSED = (anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)

OnProgress = Callable[[str, Mapping[str, Any]], None]


class Gone(Exception):
    """The server has ended, or the connection to it; why is told once, for all calls."""


class Wanted(NamedTuple):
    """Which server: a program with its environment, or an address with headers. Values are plain and may be secret."""

    name: str
    command: str | None
    args: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str | None
    url: str | None
    headers: Mapping[str, str]
    timeout_s: float
    """The longest silence of a server at an address."""

    def without_secrets(self, text: str) -> str:
        """The text with `***` for values that the server was given: it may say them in an error."""
        for value in sorted({*self.env.values(), *self.headers.values()}, key=len, reverse=True):
            for secret in (value, value.partition(" ")[2]):
                if len(secret) >= 6 and not secret.startswith("/"):
                    text = text.replace(secret, "***")
        return text


class Session:
    """A session that has begun. `problems` are sentences about tools that were left out at the last listing."""

    def __init__(self, wanted: Wanted, client: Client, stream: LookedOver) -> None:
        self._wanted = wanted
        self._client = client
        self._stream = stream
        self.problems: list[str] = []

    @classmethod
    @asynccontextmanager
    async def begun(
        cls, wanted: Wanted, *, on_change: Callable[[], None], on_end: Callable[[str], None]
    ) -> AsyncIterator[Session]:
        """Starts or reaches the server and agrees on a version with it.

        `on_change` is called when its tools have changed, `on_end` with the reason when it has ended by itself.

        Raises:
            Gone: it ended meanwhile.
            Unavailable: it can't be started or reached, or speaks no MCP.
            Unauthorized: it wants other headers.
        """

        async def on_message(message: IncomingMessage) -> None:
            if isinstance(message, types.ToolListChangedNotification):
                on_change()

        seen: list[LookedOver] = []

        @asynccontextmanager
        async def transport() -> AsyncIterator[TransportStreams]:
            async with _streams(wanted, on_end) as (said, told):
                seen.append(LookedOver(said))
                yield seen[0], told

        async with AsyncExitStack() as stack:
            client = Client(
                transport(),
                message_handler=on_message,
                client_info=types.Implementation(name="llmspell", version=VERSION),
                cache=None,
            )
            try:
                await stack.enter_async_context(client)
            except (OSError, ValueError, MCPError, httpx2.HTTPError, *_CLOSED, BaseExceptionGroup) as error:
                raise _not_begun(wanted, _innermost(error)) from None
            session = cls(wanted, client, seen[0])
            watching = asyncio.create_task(session._watch(on_change))
            try:
                yield session
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    @property
    def about(self) -> Mapping[str, str]:
        """What the server says of itself: name, version, protocol."""
        info = self._client.server_info
        said = {"name": info.name, "version": info.version} if info is not None else {}
        return {key: described(value)[:100] for key, value in said.items()} | {
            "protocol": self._client.protocol_version
        }

    async def tools(self) -> list[dict[str, Any]]:
        """Its tools: `{name, description, parameters}` each.

        Raises:
            ToolError: it does not list them.
            Gone: it has ended.
        """
        self._stream.problems.clear()
        found: dict[str, types.Tool] = {}
        cursor: str | None = None
        with _Told(self._wanted, "the list of its tools"):
            for _ in range(_MAX_PAGES):
                page = await self._client.list_tools(cursor=cursor)
                for tool in page.tools:
                    found.setdefault(tool.name, tool)
                cursor = page.next_cursor
                if cursor is None or len(found) >= MAX_TOOLS:
                    break
        if cursor is not None:
            self._stream.problems.append(f"its list of tools has no end; {len(found)} are taken")
        self.problems = [self._wanted.without_secrets(one) for one in self._stream.problems[:_MOST_PROBLEMS]]
        if more := len(self._stream.problems) - len(self.problems):
            self.problems.append(f"{more} more of its tools are left out")
        return [
            {"name": tool.name, "description": tool.description or "", "parameters": tool.input_schema}
            for tool in list(found.values())[:MAX_TOOLS]
        ]

    async def call(self, tool: str, arguments: dict[str, Any], on_progress: OnProgress) -> dict[str, Any]:
        """One call: `{outcome, error, duration_ms}`. Cancelling it tells the server so.

        Raises:
            InvalidRequest: the server refuses the arguments.
            ToolError: it answers with an error, or with what is no result.
            Gone: it has ended.
        """
        began = time.perf_counter()
        told_at = -1.0

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            nonlocal told_at
            now = time.monotonic()
            if now - told_at >= _PROGRESS_EVERY_S:
                told_at = now
                on_progress(described(message or ""), {"progress": progress, "total": total})

        with _Told(self._wanted, f"tool '{tool}'"):
            result = await self._client.call_tool(tool, arguments, progress_callback=tell)
            outcome = outcome_of(result, self._wanted.name)
        error = None
        if result.is_error:
            # What it says may hold what it was given.
            message = outcome.text or "it failed, and does not say why"
            error = {"message": self._wanted.without_secrets(message)[:10_000], "code": "tool_error"}
            outcome = Outcome(operation="", result=None, metadata=outcome.metadata)
        taken_ms = round((time.perf_counter() - began) * 1000, 3)
        return {"outcome": to_content(outcome), "error": error, "duration_ms": taken_ms}

    async def _watch(self, on_change: Callable[[], None]) -> None:
        """Newer servers tell of changes to those who ask for that alone; one that does not is read once."""
        if self._client.protocol_version not in MODERN_PROTOCOL_VERSIONS:
            return
        try:
            async with self._client.listen(tools_list_changed=True) as changes:
                async for _ in changes:
                    on_change()
        except Exception as error:  # noqa: BLE001 — whatever keeps it from telling, its tools can be called
            print(f"changes of tools are not told: {type(error).__name__}: {error}")  # noqa: T201 — the log


@asynccontextmanager
async def _streams(wanted: Wanted, on_end: Callable[[str], None]) -> AsyncIterator[TransportStreams]:
    if wanted.url is not None:
        async with http_streams(wanted.url, headers=wanted.headers, timeout_s=wanted.timeout_s) as streams:
            yield streams
        return
    assert wanted.command is not None, "either of the two, as the schema says"
    command = [wanted.command, *wanted.args]
    async with stdio_streams(command, environment=wanted.env, directory=wanted.cwd, on_end=on_end) as own:
        yield own


class _Told:
    """What goes wrong in a request to the server, as an error of ours; the server's texts without secrets."""

    def __init__(self, wanted: Wanted, what: str) -> None:
        self._wanted = wanted
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        whose = f"{self._what} of MCP server '{self._wanted.name}'"
        text = described(self._wanted.without_secrets(str(error)))
        if isinstance(error, LlmspellError):
            raise type(error)(f"{whose}: {error.message}", hint=error.hint, details=error.details) from None
        if _is_closed(error):
            raise (Gone() if self._wanted.command is not None else Unavailable(f"{whose}: {text}")) from None
        if isinstance(error, MCPError):
            if error.code == types.INVALID_PARAMS:
                raise InvalidRequest(f"{whose}: {text}", details={"mcp_code": error.code}) from None
            raise ToolError(f"{whose}: {text}", details={"mcp_code": error.code}) from None
        if isinstance(error, ValidationError):
            raise ToolError(f"{whose}: what it answers is not what the protocol says") from None
        if isinstance(error, (RuntimeError, ValueError)):
            raise ToolError(f"{whose}: {text}") from None
        if isinstance(error, httpx2.HTTPError):
            raise Unavailable(f"{whose}: {text}") from None


def _innermost(error: BaseException) -> BaseException:
    """What a group of errors is about: a stream that was closed meanwhile is not why."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    inner = [_innermost(one) for one in error.exceptions]
    return next((one for one in inner if not _is_closed(one)), inner[0])


def _is_closed(error: BaseException) -> bool:
    # Servers use the package's code for errors of their own; its text is its alone.
    if isinstance(error, MCPError):
        return error.code == types.CONNECTION_CLOSED and error.message == "Connection closed"
    return isinstance(error, _CLOSED)


def _not_begun(wanted: Wanted, error: BaseException) -> Exception:
    if wanted.command is not None and _is_closed(error):
        return Gone()
    text = described(wanted.without_secrets(str(error) or type(error).__name__))
    if isinstance(error, httpx2.HTTPStatusError) and error.response.status_code in (401, 403):
        return Unauthorized(f"it does not let us in: {text}", hint=f"set mcp.servers.{wanted.name}.headers")
    if wanted.command is not None and isinstance(error, (FileNotFoundError, NotADirectoryError)):
        missing = wanted.cwd if wanted.cwd is not None and error.filename == wanted.cwd else wanted.command
        hint = f"install it, or set mcp.servers.{wanted.name}.command"
        return Unavailable(f"there is no {missing}", hint=hint, retryable=False)
    if isinstance(error, OSError) and wanted.command is not None:
        return Unavailable(f"{wanted.command} can't be started: {error.strerror or text}", retryable=False)
    return Unavailable(text)
