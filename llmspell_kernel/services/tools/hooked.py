"""A call of a tool among hooks and events: what they are told of it, and what they may change."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.events.service import EventsService
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.given import given
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_kernel.services.tools.builtin import shown
from llmspell_kernel.services.tools.invocation import plain_reply
from llmspell_kernel.services.tools.standing import Standing
from llmspell_protocol.areas.tool import ToolInvoke, ToolInvokeReply
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.tools.description import ToolDescription

Do = Callable[[str, Mapping[str, Any]], Awaitable[ToolInvokeReply]]
"""Does a call: the tool's name and its parameters."""


class ToolOccasions:
    """The points and events of tools' calls."""

    def __init__(self, hooks: HooksService, events: EventsService) -> None:
        self._hooks = hooks
        self._events = events

    async def around(
        self,
        request: Request,
        tool: ToolDescription,
        arguments: Mapping[str, Any],
        standing: Standing,
        do: Do,
    ) -> ToolInvokeReply:
        """Does a call with the hooks around it; raises as `HooksService.around`."""
        component = Component("tool", tool.name)
        began = time.monotonic()
        about = {"tool_name": tool.name, "parameters": arguments, "source": tool.source}

        async def work(data: Mapping[str, Any]) -> ToolInvokeReply:
            call = _call(data) if data is not about else ToolInvoke(tool=tool.name, parameters=arguments)
            name, parameters = call.tool, call.parameters
            if self._hooks.registered("ToolValidation", request):
                told = {"tool_name": tool.name, "parameters": parameters, "schema": tool.parameters}
                verdict = await self._hooks.run(
                    "ToolValidation",
                    request,
                    component=component,
                    data=told,
                    check=lambda said: _call(said.data) if said.kind == "modified" else None,
                )
                verdict.demand_not_cancelled("ToolValidation")
                parameters = _call(verdict.data).parameters if verdict.kind == "modified" else parameters
            if name != tool.name or parameters != data["parameters"]:
                standing.done_instead(name, parameters)
            return await self._told(request, tool, name, parameters, do)

        return await self._hooks.around(
            request,
            HookedWork(
                before="BeforeToolExecution",
                after="AfterToolExecution",
                error="ToolError",
                component=component,
                data=about,
                work=work,
                shown=lambda reply: reply.result,
                details=lambda reply: {
                    "success": reply.success,
                    "duration_ms": reply.duration_ms,
                    **({} if reply.error is None else {"error": reply.error.message}),
                },
                made=lambda value: plain_reply(
                    tool.name,
                    result=value,
                    output=value,
                    text="" if value is None else shown(value),
                    problem=None,
                    began=began,
                ),
                target="tool_name",
                check=_call,
                basis=standing.text,
            ),
        )

    async def _told(
        self, request: Request, tool: ToolDescription, name: str, parameters: Mapping[str, Any], do: Do
    ) -> ToolInvokeReply:
        events = self._events
        if not events.wanted("tool.started"):
            events.unheard(2)
            return await do(name, parameters)
        began = time.monotonic()
        told = {
            "component_name": name,
            "component_version": tool.version,
            "input_text_length": sum(len(value) for value in parameters.values() if isinstance(value, str)),
            "has_context": False,
            "parameter_keys": sorted(map(str, parameters)),
            "session_id": request.root.caller.session or None,
            "conversation_id": None,
        }
        events.publish("tool.started", told, request=request, component=name)
        try:
            reply = await do(name, parameters)
        except LlmspellError as problem:
            failed = {"component_name": name, "error": problem.message, "error_type": problem.code}
            events.publish(
                "tool.failed", {**failed, **events.timing(time.monotonic() - began)}, request=request, component=name
            )
            raise
        done = {
            "component_name": name,
            "success": reply.success,
            "output_text_length": len(reply.text),
            "has_tool_calls": False,
            "tool_call_count": 0,
            "confidence": None,
            "model_used": None,
        }
        events.publish(
            "tool.completed", {**done, **events.timing(time.monotonic() - began)}, request=request, component=name
        )
        return reply


def _call(data: Mapping[str, Any]) -> ToolInvoke:
    """The call that hooks have made of a point's data; raises `InvalidRequest` where it is none."""
    parameters = {} if data["parameters"] == [] else data["parameters"]
    return given(ToolInvoke, "invoke", {"tool": data["tool_name"], "parameters": parameters})
