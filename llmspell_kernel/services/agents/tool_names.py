"""Tools as a model is told of them: names that every interface allows, both ways, and parameters without our own keys.

Knows descriptions, no model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_protocol.tools.description import ToolDescription

_LONGEST = 64
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]+")
_OWN_KEYS = ("x-also",)
_DESCRIBED = 1024
"""Characters of a description: vendors take no more."""


class OfferedTools:
    """The tools of one agent, by the names that its model calls them by."""

    def __init__(self, tools: Sequence[ToolDescription]) -> None:
        self._by_name: dict[str, ToolDescription] = {}
        for tool in {tool.name: tool for tool in tools}.values():  # a tool may have been named twice, by an alias
            self._by_name[_free(_FORBIDDEN.sub("_", tool.name)[:_LONGEST], self._by_name)] = tool

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> Sequence[str]:
        """The names for the model."""
        return list(self._by_name)

    def find(self, called: str) -> ToolDescription | None:
        """The tool that a model means: by the name that it was told, or the tool's own."""
        found = self._by_name.get(called)
        if found is not None:
            return found
        return next((tool for tool in self._by_name.values() if tool.name == called), None)

    @property
    def examples(self) -> Mapping[str, Mapping[str, Any]]:
        """Arguments of a call by the model's name of the tool, for those that have an example."""
        return {name: tool.example for name, tool in self._by_name.items() if tool.example}

    def functions(self) -> list[dict[str, Any]]:
        """The tools in OpenAI's form, for `ChatRequest.tools`."""
        return [
            {
                "type": "function",
                "function": {
                    "name": name,
                    "description": tool.description[:_DESCRIBED],
                    "parameters": plain_parameters(tool.parameters),
                },
            }
            for name, tool in self._by_name.items()
        ]


def plain_parameters(schema: Any) -> Any:
    """A JSON Schema without the keys that only our own readers know."""
    if isinstance(schema, Mapping):
        return {key: plain_parameters(value) for key, value in schema.items() if key not in _OWN_KEYS}
    if isinstance(schema, list | tuple):
        return [plain_parameters(value) for value in schema]
    return schema


def _free(name: str, taken: Mapping[str, object]) -> str:
    if name not in taken:
        return name
    number = 2
    while (other := f"{name[: _LONGEST - len(str(number)) - 1]}_{number}") in taken:
        number += 1
    return other
