"""What is known about a tool without importing it: name, level, parameters, and which permissions it may need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

Category = Literal["filesystem", "web", "api", "data", "system", "media", "utility"]
CATEGORIES: tuple[Category, ...] = ("filesystem", "web", "api", "data", "system", "media", "utility")
Level = Literal["safe", "restricted", "privileged"]
Need = Literal["read", "write", "net", "run", "env"]
"""A permission (`request_options.PERMISSIONS`) that a tool may need."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDescription:
    """One tool. `parameters` is the JSON Schema of its parameters, an object's."""

    name: str
    description: str
    category: Category
    security_level: Level
    parameters: Mapping[str, Any]
    version: str = "1.0.0"
    source: str = "builtin"
    """`builtin`, `plugin PACKAGE`, `script`, `mcp NAME`, `agent`"""
    needs: Sequence[Need] = ()
    keywords: Sequence[str] = ()
    settings: Sequence[str] = ()
    """The tables of `[tools]` that it reads."""
    result: str = ""
    """The shape of its result, by operation, in words."""
    example: Mapping[str, Any] = field(default_factory=dict)
    """Parameters of a call that needs no permission and changes nothing; empty where there is none."""

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> ToolDescription:
        """The description that `to_content` made a map of; keys that it doesn't have are ignored."""
        return cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})

    @property
    def summary(self) -> str:
        """The first sentence of what it does."""
        return self.description.split(". ")[0].rstrip(".")
