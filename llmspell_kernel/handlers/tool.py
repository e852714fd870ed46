"""`tool_request`: one method an action, translated for the tools service."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.given import given
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.invocation import progress_of
from llmspell_kernel.services.tools.service import ToolsService
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.tool import (
    ToolDetails,
    ToolInfoReply,
    ToolInvoke,
    ToolInvokeReply,
    ToolList,
    ToolListReply,
    ToolNamed,
    ToolPermission,
    ToolPermissionsReply,
    ToolPermit,
    ToolPermitReply,
    ToolRegister,
    ToolRegisterReply,
    ToolSearch,
    ToolSearchReply,
    ToolSummary,
    ToolTestReply,
)
from llmspell_protocol.errors import Forbidden, LlmspellError, ToolNotFound, Unsupported
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.permissions import SETTINGS

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

Shown = TypeVar("Shown", bound=ToolSummary)


class ToolHandler(AreaHandler):
    """Answers `tool_request`."""

    def __init__(self, tools: ToolsService, contexts: Contexts, settings: Callable[[], Settings]) -> None:
        self._tools = tools
        self._contexts = contexts
        self._settings = settings

    async def list(self, request: Request, wanted: ToolList) -> ToolListReply:
        """All tools."""
        found, problems = await self._discovered(request, wanted.category, None)
        tools = [_shown(ToolSummary, tool) for tool in found]
        return ToolListReply(tools=tools, count=len(tools), category=wanted.category, problems=problems)

    async def search(self, request: Request, wanted: ToolSearch) -> ToolSearchReply:
        """Tools by words."""
        found, _ = await self._discovered(request, wanted.category, wanted.query)
        matches = [_shown(ToolSummary, tool) for tool in found]
        return ToolSearchReply(matches=matches, query=wanted.query, count=len(matches))

    async def _discovered(
        self, request: Request, category: str | None, query: str | None
    ) -> tuple[Sequence[ToolDescription], Sequence[str]]:
        """The tools that are found; hooks may say which of them are shown, by name."""
        known: Sequence[ToolDescription] = ()

        async def work(data: Mapping[str, Any]) -> tuple[Sequence[ToolDescription], Sequence[str]]:
            nonlocal known
            if data["query"] is None:
                known, problems = await self._tools.list(request.caller, data["category"])
                return known, problems
            known = await self._tools.search(data["query"], request.caller, data["category"])
            return known, ()

        def made(value: Any) -> tuple[Sequence[ToolDescription], Sequence[str]]:
            names = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
            return [tool for tool in known if tool.name in names], ()

        return await self._tools.hooks.around(
            request,
            HookedWork(
                before="BeforeToolDiscovery",
                after="AfterToolDiscovery",
                error=None,
                component=Component("tool", "discovery"),
                data={"category": category, "query": query},
                work=work,
                shown=lambda found: [tool.name for tool in found[0]],
                result_key="tools",
                made=made,
                check=_demand_search,
            ),
        )

    async def info(self, request: Request, wanted: ToolNamed) -> ToolInfoReply:
        """Everything about one tool."""
        return ToolInfoReply(tool=_shown(ToolDetails, await self._tools.find(wanted.tool, request.caller)))

    async def permissions(self, request: Request, wanted: Empty) -> ToolPermissionsReply:
        """What the tools may touch that the caller and its scripts call."""
        settings = self._settings()
        own = self._tools.permissions(request)
        of_scripts = self._tools.permissions(request, of_script=True)
        return ToolPermissionsReply(
            permissions=[
                ToolPermission(
                    permission=kind,
                    names=list(dict.fromkeys(getattr(own, kind))),
                    script_names=list(dict.fromkeys(getattr(of_scripts, kind))),
                    setting=SETTINGS[kind],
                    flag=f"--allow-{kind}",
                )
                for kind in SETTINGS
            ],
            approval=settings.tools.approval,
        )

    async def invoke(self, request: Request, wanted: ToolInvoke) -> ToolInvokeReply:
        """One call."""
        return await self._invoke(request, wanted.tool, wanted.parameters)

    async def test(self, request: Request, wanted: ToolNamed) -> ToolTestReply:
        """One call with the tool's own example."""
        tool = await self._tools.find(wanted.tool, request.caller)
        if not tool.example:
            raise Unsupported(
                f"tool '{tool.name}' has no call that touches nothing, so it can't be tested by itself",
                hint=f"call it: llmspell tool invoke {tool.name} --params '{{…}}'",
                details={"tool": tool.name, "operation": "test"},
            )
        try:
            reply = await self._invoke(request, tool.name, tool.example)
        except LlmspellError as error:
            success, message, result = False, error.message, None
        else:
            success, message, result = reply.success, reply.message, reply.result
        details = {"parameters": dict(tool.example), "result": result}
        return ToolTestReply(tool=tool.name, success=success, message=message, details=details)

    async def permit(self, request: Request, wanted: ToolPermit) -> ToolPermitReply:
        """Asks the person at the client for a permission of a script's own."""
        if request.caller.kind != "script":
            raise Forbidden("permissions are asked for by scripts; a command has options for them")
        granted = await self._tools.permit(request, wanted.permission, wanted.name)
        return ToolPermitReply(granted=granted)

    async def register(self, request: Request, wanted: ToolRegister) -> ToolRegisterReply:
        """A function of the script's as a tool."""
        function = self._contexts.function(request, wanted.execute)
        return ToolRegisterReply(tool=self._tools.registered.register(wanted, function, request.caller))

    async def unregister(self, request: Request, wanted: ToolNamed) -> ToolRegisterReply:
        """Takes a script's tool back."""
        if not self._tools.registered.unregister(wanted.tool, owner_of(request.caller)):
            raise ToolNotFound(f"Tool '{wanted.tool}' not found", details={"tool": wanted.tool})
        return ToolRegisterReply(tool=wanted.tool)

    async def _invoke(self, request: Request, name: str, arguments: Mapping[str, Any]) -> ToolInvokeReply:
        return await self._tools.invoke(
            request,
            name,
            arguments,
            self._tools.permissions(request),
            timeout_s=request.options.timeout_s,
            on_progress=progress_of(request),
        )


def _demand_search(data: Mapping[str, Any]) -> None:
    """Raises `InvalidRequest` where hooks have left neither a search nor a list of tools."""
    given(ToolSearch, "search", {"query": data["query"] or "", "category": data["category"]})


def _shown(kind: type[Shown], tool: ToolDescription) -> Shown:
    """What a reply shows of a tool: the fields of `kind` that it has."""
    return kind(**{item.name: getattr(tool, item.name) for item in fields(kind)})
