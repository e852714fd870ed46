"""Functions of scripts as tools: an owner's agents, scripts and commands can call them while the script lives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
from llmspell_kernel.services.tools.builtin import shown
from llmspell_kernel.services.tools.invocation import Invocation
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem, ToolRegister
from llmspell_protocol.errors import InvalidRequest, ScriptError, Timeout
from llmspell_protocol.tools.description import ToolDescription

MAX_PER_CONTEXT = 1000
_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}}


class RegisteredTools:
    """The tools of scripts, by context and name; the newest of a name holds it."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._by_context: dict[str, dict[str, tuple[ToolDescription, ScriptFunction]]] = {}

    def register(self, wanted: ToolRegister, function: ScriptFunction) -> str:
        """Makes a function a tool; returns its name.

        Raises:
            InvalidRequest: the name or the schema is none, or the context has too many.
        """
        if not wanted.name or len(wanted.name) > 100 or not wanted.name.isprintable():
            raise InvalidRequest("a tool's name has 1 to 100 printable characters")
        schema = wanted.parameters or _ANY_OBJECT
        if schema.get("type", "object") != "object":
            raise InvalidRequest(f"tool '{wanted.name}': parameters has to be the JSON Schema of an object")
        own = self._by_context.setdefault(function.context, {})
        if len(own) >= MAX_PER_CONTEXT and wanted.name not in own:
            raise InvalidRequest(f"there are {len(own)} tools of this script already")
        description = ToolDescription(
            name=wanted.name,
            description=wanted.description,
            category=wanted.category,
            security_level=wanted.security_level,
            parameters={"type": "object", **schema},
            source="script",
        )
        self._release(own.pop(wanted.name, None))
        own[wanted.name] = description, function
        return wanted.name

    def unregister(self, name: str, context: str) -> bool:
        """Takes a tool back; whether there was one."""
        found = self._by_context.get(context, {}).pop(name, None)
        self._release(found)
        return found is not None

    def forget(self, owner: str) -> None:
        """A context has ended, and its functions with it."""
        self._by_context.pop(owner, None)

    async def tools(self, owner: str) -> Sequence[ToolDescription]:
        """The owner's own first, then those of other contexts."""
        own = self._by_context.get(owner, {})
        others = [one for context, tools in self._by_context.items() if context != owner for one in tools.values()]
        named = {description.name: description for description, _ in (*reversed(others), *own.values())}
        return tuple(named.values())

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Calls the function with the parameters.

        A script's error is the operation's own no; what the function returns is the result.

        Raises:
            NotFound: its script has ended meanwhile.
            Timeout: it took too long.
        """
        name = invocation.tool.name
        function = self._function(invocation.tool, invocation.request.caller.context or "")
        began = time.monotonic()
        result, error = None, None
        try:
            async with asyncio.timeout(invocation.timeout_s):
                result = await self._contexts.invoke(
                    invocation.request, function, [dict(invocation.arguments)], _unheard
                )
        except TimeoutError:
            raise Timeout(
                f"tool '{name}' timed out after {invocation.timeout_s:g}s",
                hint="give it more time (--timeout), or less to do",
                details={"timeout_s": invocation.timeout_s},
            ) from None
        except ScriptError as failure:
            error = ToolProblem(message=failure.message, code=failure.code)
        text = shown(result) if error is None else error.message
        return ToolInvokeReply(
            tool=name,
            operation="",
            success=error is None,
            result=result,
            output=result,
            text=text,
            message="" if error is None else error.message,
            error=error,
            metadata={},
            media=(),
            fields={},
            duration_ms=round((time.monotonic() - began) * 1000, 3),
        )

    def _function(self, tool: ToolDescription, owner: str) -> ScriptFunction:
        own = self._by_context.get(owner, {})
        if tool.name in own:
            return own[tool.name][1]
        for tools in reversed(self._by_context.values()):
            if tool.name in tools:
                return tools[tool.name][1]
        raise InvalidRequest(f"tool '{tool.name}' was taken back")

    def _release(self, found: tuple[ToolDescription, ScriptFunction] | None) -> None:
        if found is not None:
            self._contexts.release(found[1])


def _unheard(_stream: str, _text: str) -> None:
    """What a tool prints is not its result."""
