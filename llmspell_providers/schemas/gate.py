"""The one way by which a schema, or a tool's parameters, comes to a model: what is wrong is refused before anything is
asked, and what an engine would read otherwise is written anew.

What is too large has been refused before (`size.demand_size`). `admit` takes milliseconds, imports jsonschema and may
meet a pattern that computes for ever: it belongs in a process that can be ended.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.possible import demand_possible
from llmspell_providers.schemas.refusals import malformed, refuse, step
from llmspell_providers.schemas.smallest import demand_short
from llmspell_providers.schemas.tools import demand_tools, function_of
from llmspell_providers.schemas.well_formed import demand_well_formed
from llmspell_providers.schemas.writing import Writing

_REMEMBERED = 64
"""Schemas and tools whose outcome is kept: an agent has the same with each turn, and one of 300 parts takes 0.3 s."""


def admit(request: ChatRequest, grammar: Grammar | None) -> ChatRequest:
    """The request with its schema and its tools as they may be given to a backend.

    `grammar` is what the backend's engine makes of them; None: they go to a server that sees to it itself. The reply
    is to be held against the schema that came, not against the one that goes.

    Raises:
        InvalidRequest: they are no schemas or no tools; `details{keyword, at}`, `at` a JSON Pointer into the schema or
            (/tools/…) into the request.
        SchemaUnsupported: nothing fits them, or the engine can't be held to them.
    """
    try:
        return replace(
            request,
            schema=None if request.schema is None else _admitted_schema(request.schema, grammar),
            tools=_admitted_tools(request.tools, grammar),
        )
    except RecursionError:
        refuse("schema", "", "is nested too deeply to be checked")


def _admitted_schema(schema: Mapping[str, Any], grammar: Grammar | None) -> Mapping[str, Any]:
    written = _looked_at(json.dumps(schema), "", None if grammar is None else _Kept(grammar, is_strict=True))
    return schema if grammar is None else written


def _admitted_tools(tools: Sequence[Mapping[str, Any]], grammar: Grammar | None) -> Sequence[Mapping[str, Any]]:
    demand_tools(tools)
    return [_admitted_tool(tool, number, grammar) for number, tool in enumerate(tools)]


def _admitted_tool(tool: Mapping[str, Any], number: int, grammar: Grammar | None) -> Mapping[str, Any]:
    function = function_of(tool)
    at = step("", "tools", number, *(["function"] if "function" in tool else []), "parameters")
    parameters = function.get("parameters")
    if parameters is None:
        return tool
    if isinstance(parameters, Mapping) and parameters.get("type", "object") != "object":
        malformed("type", step(at, "type"), "a tool's parameters are an object", hint='write "type": "object"')
    # The keywords that a grammar forgets are left for the model to read: calls are not promised to be held to them.
    is_written = grammar is not None and grammar.tools
    kept = _Kept(grammar, is_strict=False, prefix=f"t{number}d") if grammar is not None and is_written else None
    written = _looked_at(json.dumps(parameters), at, kept)
    if kept is None:
        return tool
    described = {**function, "parameters": written}
    return {**tool, "function": described} if "function" in tool else described


class _Kept(NamedTuple):
    """How a schema is written anew (see `Writing`)."""

    grammar: Grammar
    is_strict: bool
    prefix: str = "d"


@functools.lru_cache(maxsize=_REMEMBERED)
def _looked_at(text: str, at: str, kept: _Kept | None) -> Mapping[str, Any]:
    """The schema in a text, as it may be given to a backend; it must not be changed."""
    schema = json.loads(text)
    demand_well_formed(schema, at)
    demand_possible(schema, at)
    demand_short(schema, at)
    if kept is None:
        return cast("Mapping[str, Any]", schema)
    return Writing(schema, kept.grammar, is_strict=kept.is_strict, prefix=kept.prefix).write(at)
