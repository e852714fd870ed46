"""Tools of all sources: found by name, searched, called within their limits. Knows requests as what calls are for."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.tools.asking import MOST_QUESTIONS, Asking, AskingTime
from llmspell_kernel.services.tools.builtin import WorkerTools
from llmspell_kernel.services.tools.callers import permissions_for
from llmspell_kernel.services.tools.hooked import ToolOccasions
from llmspell_kernel.services.tools.invocation import Invocation, OnProgress, ToolSource
from llmspell_kernel.services.tools.limits import Rates, tables_of, timeout_of
from llmspell_kernel.services.tools.mcp.source import McpTools
from llmspell_kernel.services.tools.permissions import demand
from llmspell_kernel.services.tools.registered import RegisteredTools, ToolsOfOthers
from llmspell_kernel.services.tools.standing import Standing
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.errors import Forbidden, LlmspellError, ToolNotFound
from llmspell_protocol.tools.description import Need, ToolDescription
from llmspell_protocol.tools.names import LEFT_TO_OTHERS, tool_name
from llmspell_protocol.tools.permissions import Permissions

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

_Found = dict[str, tuple[ToolDescription, ToolSource]]


class ToolsService:
    """All tools of a kernel; belongs to the loop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        contexts: Contexts,
        log_directory: Path,
        hooks: HooksService,
        events: EventsService,
        *,
        home: Path,
        environment: Mapping[str, str],
        file: Path | None = None,
    ) -> None:
        self._settings = settings
        self.hooks = hooks
        self._occasions = ToolOccasions(hooks, events)
        self._environment = environment
        self._asking = Asking(settings, environment, file)
        self._rates = Rates()
        self.registered = RegisteredTools(contexts)
        self.workers = WorkerTools(log_directory, size=settings().tools.workers)
        self.mcp = McpTools(settings, environment, home, log_directory)
        self._near: list[ToolSource] = [self.registered, self.workers]
        """The first that has a name has it; servers, which have to be started, are asked after these."""
        self._of_others = ToolsOfOthers(self.registered)
        """Asked last: a script can't take the place of a tool that others mean."""

    def permissions(self, request: Request, *, of_script: bool = False) -> Permissions:
        """What the tools may touch that a request calls, as `permissions_for`."""
        return permissions_for(request, self._settings(), self._environment, of_script=of_script)

    def add(self, source: ToolSource) -> None:
        """One more source, whose names come before those of packages and behind those of scripts."""
        self._near.insert(1, source)

    async def list(
        self, caller: Caller, category: str | None = None
    ) -> tuple[Sequence[ToolDescription], Sequence[str]]:
        """Every tool by name, and what is wrong with sources that could not be asked."""
        found, problems = await self._found(caller, [*self._near, self.mcp, self._of_others])
        tools = [tool for tool, _ in found.values() if category in (None, tool.category)]
        return sorted(tools, key=lambda tool: tool.name), problems

    async def find(self, name: str, caller: Caller) -> ToolDescription:
        """The tool that a name means.

        Raises:
            ToolNotFound: there is none; the hint has the nearest name.
        """
        return (await self._find(name, caller))[0]

    def prepare(self, tool: ToolDescription) -> None:
        """A call of this tool may come: what it runs in gets ready beside everything else."""
        if tool.source == "builtin":
            self.workers.prepare()

    async def search(self, query: str, caller: Caller, category: str | None = None) -> Sequence[ToolDescription]:
        """Tools that match every word, best first: by name, then keyword, then description."""
        words = query.lower().split()
        tools, _ = await self.list(caller, category)
        scored = [(_score(tool, words), tool) for tool in tools]
        return [tool for score, tool in sorted(scored, key=lambda one: (-one[0], one[1].name)) if score > 0]

    async def invoke(
        self,
        request: Request,
        name: str,
        arguments: Mapping[str, Any],
        permissions: Permissions,
        *,
        timeout_s: float | None = None,
        on_progress: OnProgress,
        asking: AskingTime = nullcontext,
    ) -> ToolInvokeReply:
        """Does one call for `request`, whose caller it is. Cancelling ends the work. A person is asked within `asking`.

        Raises:
            ToolNotFound: there is no such tool.
            Forbidden: tools are off, or the call would touch what it may not.
            Busy: too many calls in the last minute.
            InvalidRequest, Timeout, OutOfMemory, WorkerCrashed, ToolError: as the tool's source says.
        """
        tool, source = await self._find(name, request.caller)
        standing = Standing(request, tool, self._asking.with_session(request, permissions), self._settings)

        async def do(wanted: str, parameters: Mapping[str, Any]) -> ToolInvokeReply:
            found = (tool, source) if wanted == tool.name else await self._find(wanted, request.caller)
            return await self._invoke(
                request,
                found,
                parameters,
                standing,
                timeout_s=timeout_s,
                on_progress=on_progress,
                asking=asking,
            )

        try:
            return await self._occasions.around(request, tool, arguments, standing, do)
        except LlmspellError as error:
            await self.hooks.failed(request, error)
            raise

    async def _invoke(
        self,
        request: Request,
        found: tuple[ToolDescription, ToolSource],
        arguments: Mapping[str, Any],
        standing: Standing,
        *,
        timeout_s: float | None,
        on_progress: OnProgress,
        asking: AskingTime,
    ) -> ToolInvokeReply:
        tool, source = found
        settings = self._settings()
        tables = tables_of(tool, settings)
        self._rates.admit(tables, settings.tools.rate_limit_per_minute)
        wanted_s = self.mcp.timeout_of(tool) if timeout_s is None else timeout_s
        asked: set[tuple[object, object]] = set()
        while len(asked) < MOST_QUESTIONS:
            try:
                demand(tool, standing.permissions, settings, self._asking.kinds(request))
                return await source.invoke(
                    Invocation(
                        request=request,
                        tool=tool,
                        arguments=arguments,
                        permissions=standing.permissions,
                        tables=tables,
                        timeout_s=timeout_of(tool, tables, arguments, wanted_s),
                        on_progress=on_progress,
                    )
                )
            except Forbidden as refused:
                what = refused.details.get("permission"), refused.details.get("name")
                if what in asked:
                    raise  # The permission was given, and is not what was lacking.
                asked.add(what)
                standing.permissions = await self._asking.ask(
                    request, f"Tool '{tool.name}'", refused, standing.permissions, asking
                )
        raise Forbidden(f"tool '{tool.name}' asked for too many permissions in one call")

    async def permit(self, request: Request, kind: Need, name: str) -> bool:
        """Whether a script may touch something by itself that it has no permission for: a person is asked."""
        return await self._asking.permit(request, kind, name)

    def forget(self, owner: str) -> None:
        """A client or script context has ended, and its tools with it."""
        self.registered.forget(owner)
        self._asking.forget(owner)

    async def close(self) -> None:
        """Ends the workers and the servers."""
        await asyncio.gather(self.workers.close(), self.mcp.close())

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Takes over which servers there are; calls that run go on with the old ones."""
        del running
        self.mcp.reconfigure(settings)

    async def _find(self, name: str, caller: Caller) -> tuple[ToolDescription, ToolSource]:
        # No server is started for the name of a tool that is here, or of another server.
        found, _ = await self._found(caller, self._near)
        known = tool_name(name, found)
        if known is None:
            found |= {tool.name: (tool, self.mcp) for tool in await self.mcp.of_server(name)}
            known = tool_name(name, found)
        if known is None:
            of_others, _ = await self._found(caller, [self._of_others])
            found = {**of_others, **found}
            known = tool_name(name, found)
        if known is None:
            raise _missing(name, found)
        return found[known]

    async def _found(self, caller: Caller, sources: Sequence[ToolSource]) -> tuple[_Found, Sequence[str]]:
        found: _Found = {}
        problems: Sequence[str] = ()
        for source in sources:
            try:
                tools = await source.tools(caller)
            except LlmspellError as error:
                problems = (*problems, error.message)
                continue
            for tool in tools:
                found.setdefault(tool.name, (tool, source))
        return found, (*problems, *self.workers.problems, *self.mcp.problems)


def _missing(name: str, known: Collection[str]) -> ToolNotFound:
    plain = name.strip().lower().replace("_", "-")
    details: dict[str, Any] = {"tool": name}
    if plain in LEFT_TO_OTHERS:
        return ToolNotFound(
            f"Tool '{name}' not found (not part of this version)",
            hint="a package or an MCP server can bring it: llmspell tool list shows those there are",
            details=details,
        )
    near = difflib.get_close_matches(plain, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "llmspell tool list shows all tools"
    return ToolNotFound(f"Tool '{name}' not found", hint=hint, details=details)


def _score(tool: ToolDescription, words: Sequence[str]) -> int:
    total = 0
    for word in words:
        if word == tool.name.lower():
            score = 8
        elif word in tool.name.lower():
            score = 4
        elif any(word in keyword.lower() for keyword in tool.keywords):
            score = 2
        else:
            score = int(word in tool.description.lower() or word == tool.category)
        if not score:
            return 0
        total += score
    return total
