"""The tools of a request: whether they are descriptions of tools, and which of them a model is to call.

Knows no engine; what makes a grammar of the parameters gives them to `gate.admit` first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from llmspell_protocol.errors import InvalidRequest, ModelError
from llmspell_protocol.models import ChatRequest, ChatResult
from llmspell_providers.schemas.refusals import malformed, step

WORDS = ("auto", "none", "required")
"""What `tool_choice` may be besides a tool's name."""
MOST_TOOLS = 128
_NAME = re.compile(r'[^"\\\x00-\x1f\x7f]{1,128}')
_Tool = Mapping[str, Any]


def function_of(tool: _Tool) -> _Tool:
    """Name, description and parameters of a tool, which OpenAI's form has in `function`."""
    function = tool.get("function", tool)
    return function if isinstance(function, Mapping) else {}


def must_call(tools: Sequence[_Tool], choice: str | None) -> bool:
    """Whether the reply to a request with these has to be a call."""
    return bool(tools) and choice not in (None, "auto", "none")


def demand_tools(tools: Sequence[_Tool]) -> None:
    """Refuses what is no description of a tool; parameters are not looked at.

    Raises:
        InvalidRequest: with `details{keyword, at}`.
    """
    if len(tools) > MOST_TOOLS:
        malformed("tools", "/tools", f"there are {len(tools)} of them; {MOST_TOOLS} are read", hint="leave some out")
    names: set[str] = set()
    for number, tool in enumerate(tools):
        at = step("", "tools", number)
        if not isinstance(tool, Mapping) or not isinstance(tool.get("function", tool), Mapping):
            malformed("tools", at, "a tool is an object with name, description and parameters")
        function, inside = function_of(tool), step(at, "function") if "function" in tool else at
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            malformed("name", step(inside, "name"), f"{name!r:.150} is not a name that a model could call")
        if name in names:
            malformed("name", step(inside, "name"), f"'{name}' is there twice")
        names.add(name)
        if not isinstance(function.get("description") or "", str):
            malformed("description", step(inside, "description"), "it is not text")


def demand_choice(request: ChatRequest) -> None:
    """Refuses a `tool_choice` that nothing could follow, and tools where there is no place for them.

    Raises:
        InvalidRequest: with `details{field, problem}`.
    """
    choice = request.tool_choice
    if request.raw and (request.tools or choice not in (None, "auto", "none")):
        _wrong("tools", "a raw prompt has no place for tools", hint="leave out raw, or the tools")
    if choice in (None, "auto", "none"):
        return
    names = [name for tool in request.tools if isinstance(name := function_of(tool).get("name"), str)]
    if not names:
        why = f"'{choice}' needs tools, and there are none"
        _wrong("tool_choice", why, hint="give tools, or leave out tool_choice")
    if choice not in WORDS and choice not in names:
        known = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        hint = f"one of {', '.join(WORDS)}, or a tool's name: {known}"
        _wrong("tool_choice", f"there is no tool '{choice}'", hint=hint)


def chosen(tools: Sequence[_Tool], choice: str | None) -> Sequence[_Tool]:
    """The tools that a call may be of: all, or the named one alone."""
    if choice is None or choice in WORDS:
        return tools
    return [tool for tool in tools if function_of(tool)["name"] == choice]


def demand_call(request: ChatRequest, result: ChatResult) -> None:
    """Holds a finished reply against `tool_choice`.

    Raises:
        ModelError: it has to be a call, or a call of one tool, and is not; `details{tool_choice, called, text,
            finish_reason}`.
    """
    if not must_call(request.tools, request.tool_choice):
        return
    called = [call.name for call in result.message.tool_calls]
    allowed = [function_of(tool)["name"] for tool in chosen(request.tools, request.tool_choice)]
    strangers = [name for name in called if name not in allowed]
    if called and not strangers:
        return
    wanted = "a tool" if request.tool_choice == "required" else f"the tool '{request.tool_choice}'"
    was_cut = result.finish_reason in ("length", "context_full")
    did = f"called '{strangers[0]}'" if strangers else "was cut before it did" if was_cut else "answered without a call"
    raise ModelError(
        f"{result.model} was to call {wanted} and {did} ({result.finish_reason})",
        hint="raise max_tokens" if was_cut and not strangers else "ask again, or a model that is made for tools",
        details={
            "tool_choice": request.tool_choice,
            "called": called,
            "text": result.message.content,
            "finish_reason": result.finish_reason,
        },
    )


def _wrong(field: str, problem: str, *, hint: str) -> NoReturn:
    raise InvalidRequest(f"{field}: {problem}", hint=hint, details={"field": field, "problem": problem})
