"""Functions of scripts as tools: of the script and its agents while it lives, and of others with the same key.

A function that others call works without what either side was granted: what it asks for is done with the rights of a
script, its caller's at most, and no person is asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

from llmspell_kernel.identity import Caller
from llmspell_kernel.parts import SilentSink, part_of
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
from llmspell_kernel.services.tools.builtin import shown
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.invocation import Invocation, demand_name, plain_reply
from llmspell_protocol.areas.tool import ToolInvokeReply, ToolProblem, ToolRegister
from llmspell_protocol.errors import InvalidRequest, ScriptError, Timeout
from llmspell_protocol.request_options import NO_OPTIONS
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.parameters import problems_of

MAX_PER_CONTEXT = 1000
_ANY_OBJECT: Mapping[str, Any] = {"type": "object", "properties": {}}


class _Registered(NamedTuple):
    description: ToolDescription
    function: ScriptFunction
    key_id: str
    """The key of the client whose script it is."""


class RegisteredTools:
    """The tools of scripts, by context and name; the newest of a name holds it. As a source: the caller's own."""

    def __init__(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self._by_context: dict[str, dict[str, _Registered]] = {}

    def register(self, wanted: ToolRegister, function: ScriptFunction, caller: Caller) -> str:
        """Makes a function a tool; returns its name.

        Raises:
            InvalidRequest: the name or the schema is none, or the context has too many.
        """
        demand_name(wanted.name)
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
        own[wanted.name] = _Registered(description, function, caller.key_id)
        return wanted.name

    def unregister(self, name: str, context: str) -> bool:
        """Takes a tool back; whether there was one."""
        found = self._by_context.get(context, {}).pop(name, None)
        self._release(found)
        return found is not None

    def forget(self, owner: str) -> None:
        """A context has ended, and its functions with it."""
        self._by_context.pop(owner, None)

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """The caller's own."""
        return tuple(one.description for one in self._by_context.get(owner_of(caller), {}).values())

    def of_others(self, caller: Caller) -> Mapping[str, ToolDescription]:
        """By name those of other contexts whose clients have the caller's key."""
        return {name: one.description for name, one in self._others(caller).items()}

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Calls the caller's own function with the parameters.

        A script's error is the operation's own no; what the function returns is the result.

        Raises:
            NotFound: its script has ended meanwhile.
            Timeout: it took too long.
        """
        return await self._call(invocation, self._by_context.get(owner_of(invocation.request.caller), {}))

    async def invoke_of_others(self, invocation: Invocation) -> ToolInvokeReply:
        """Calls the function of another context; as `invoke`."""
        return await self._call(invocation, self._others(invocation.request.caller), apart=True)

    def _others(self, caller: Caller) -> Mapping[str, _Registered]:
        owner = owner_of(caller)
        return {
            name: one
            for context, tools in self._by_context.items()
            if context != owner
            for name, one in tools.items()
            if one.key_id == caller.key_id
        }

    async def _call(
        self, invocation: Invocation, tools: Mapping[str, _Registered], *, apart: bool = False
    ) -> ToolInvokeReply:
        name, request = invocation.tool.name, invocation.request
        if name not in tools:
            raise InvalidRequest(f"tool '{name}' was taken back")
        if problems := problems_of(invocation.tool.parameters, invocation.arguments):
            raise InvalidRequest(
                "; ".join(text for _, text in problems),
                details={"problems": [{"field": field, "message": text} for field, text in problems]},
            )
        function = tools[name].function
        began = time.monotonic()
        result, error = None, None
        try:
            async with asyncio.timeout(invocation.timeout_s):
                with _standing_apart(request, function) if apart else nullcontext(request) as asking:
                    result = await self._contexts.invoke(asking, function, [dict(invocation.arguments)], _unheard)
        except TimeoutError:
            raise Timeout(
                f"tool '{name}' timed out after {invocation.timeout_s:g}s",
                hint="give it more time (--timeout), or less to do",
                details={"timeout_s": invocation.timeout_s},
            ) from None
        except ScriptError as failure:
            error = ToolProblem(message=failure.message, code=failure.code)
        text = "" if error is not None else shown(result)
        return plain_reply(name, result=result, output=result, text=text, problem=error, began=began)

    def _release(self, found: _Registered | None) -> None:
        if found is not None:
            self._contexts.release(found.function)


def _unheard(_stream: str, _text: str) -> None:
    """What a tool prints is not its result."""


class ToolsOfOthers:
    """As a source: the tools of other scripts, whose clients have the caller's key."""

    def __init__(self, registered: RegisteredTools) -> None:
        self._registered = registered

    async def tools(self, caller: Caller) -> Sequence[ToolDescription]:
        """The newest of each name."""
        return tuple(self._registered.of_others(caller).values())

    async def invoke(self, invocation: Invocation) -> ToolInvokeReply:
        """Calls the function; as `RegisteredTools.invoke`."""
        return await self._registered.invoke_of_others(invocation)


def _standing_apart(request: Request, function: ScriptFunction) -> AbstractContextManager[Request]:
    """The request for which the function of another's script runs: without what `request` was granted."""
    caller = request.caller._replace(client=function.context)
    return part_of(
        request, {}, msg_type=request.msg_type, sink=SilentSink(), caller=caller, options=NO_OPTIONS, apart=True
    )
