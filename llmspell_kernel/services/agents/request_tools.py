"""The toolbox of a turn that a request asks for: whose tools, what they may touch, and which person is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.parts import PartSink, followed, part_of
from llmspell_kernel.request import Request
from llmspell_kernel.services.agents.toolbox import Do
from llmspell_kernel.services.tools.asking import AskingTime
from llmspell_kernel.services.tools.invocation import progress_of, replied
from llmspell_kernel.services.tools.service import ToolsService
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.content import to_content
from llmspell_protocol.tools.description import ToolDescription

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings


class RequestTools:
    """The tools as one request may call them."""

    def __init__(self, request: Request, tools: Callable[[], ToolsService], settings: Callable[[], Settings]) -> None:
        self._request = request
        self._tools = tools
        self._settings = settings

    async def find(self, name: str) -> ToolDescription:
        """The tool of this name; raises `ToolNotFound`. Its worker starts while the model still thinks."""
        tool = await self._tools().find(name, self._request.caller)
        self._tools().prepare(tool)
        return tool

    def needs_word(self, tool: ToolDescription) -> bool:
        """As `tools.approval` says now: of no tool, of those that are not safe, or of all."""
        level = self._settings().tools.approval
        return level == "always" or (level == "restricted" and tool.security_level != "safe")

    async def ask(self, question: str) -> str | None:
        """What a person answers who sits where the command, the notebook or the repl is."""
        return await self._request.ask_person(question)

    async def around(self, tool: ToolDescription, arguments: Mapping[str, Any], do: Do) -> ToolInvokeReply:
        """As a part of the request, which is recorded where that is, and answered where it is replayed."""
        request = self._request
        content = {"action": "invoke", "tool": tool.name, "parameters": dict(arguments)}
        with part_of(
            request,
            content,
            msg_type="tool_request",
            sink=PartSink(request),
        ) as part:
            own = RequestTools(part, self._tools, self._settings)
            return await followed(part, lambda content: do(own, content["parameters"]), shown=to_content, made=replied)

    async def invoke(
        self, tool: ToolDescription, arguments: Mapping[str, Any], *, asking: AskingTime
    ) -> ToolInvokeReply:
        """Does one call, within the limits of the request and of its command; raises as `ToolsService.invoke`."""
        return await self._tools().invoke(
            self._request,
            tool.name,
            arguments,
            self._tools().permissions(self._request),
            on_progress=progress_of(self._request),
            asking=asking,
        )
