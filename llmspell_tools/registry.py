"""Which tools there are: those of this package, and those that other packages bring by an entry point.

A package names its tools in the group `llmspell.tools`: each entry point is a `contract.Tool`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from typing import Any

from llmspell_protocol.errors import ToolError, ToolNotFound
from llmspell_tools import tools
from llmspell_tools.contract import Tool

GROUP = "llmspell.tools"

BUILTIN = tuple(
    sorted(module.name.replace("_", "-") for module in iter_modules(tools.__path__) if not module.name.startswith("_"))
)
"""The tools of this package: a module each in `tools/`, with `_` for `-`."""


def builtin_tool(name: str) -> Tool[Any]:
    """A tool of this package."""
    module = import_module(f"llmspell_tools.tools.{name.replace('-', '_')}")
    tool: Tool[Any] = module.TOOL
    return tool


@functools.cache
def tool_named(name: str) -> Tool[Any]:
    """The tool with exactly this name.

    Raises:
        ToolNotFound: there is none.
        ToolError: the package that has it can't be imported, or names something else.
    """
    if name in BUILTIN:
        return builtin_tool(name)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return plugin_tool(entry)
    raise ToolNotFound(f"Tool '{name}' not found", details={"tool": name})


def plugin_entries() -> Iterator[EntryPoint]:
    """The entry points of other packages whose names are not taken."""
    seen = set(BUILTIN)
    for entry in entry_points(group=GROUP):
        if entry.name not in seen:
            seen.add(entry.name)
            yield entry


def plugin_tool(entry: EntryPoint) -> Tool[Any]:
    """The tool of an entry point.

    Raises:
        ToolError: it can't be imported, or is no tool.
    """
    package = entry.dist.name if entry.dist is not None else entry.value
    try:
        tool = entry.load()
    except Exception as error:  # whatever another package does when it is imported
        raise ToolError(
            f"tool '{entry.name}' of package {package} can't be imported: {type(error).__name__}: {error}",
            hint=f"update or remove it: pip uninstall {package}",
            details={"tool": entry.name, "package": package},
        ) from error
    if not isinstance(tool, Tool) or tool.name != entry.name:
        raise ToolError(
            f"{entry.value} of package {package} is not a tool named '{entry.name}'",
            hint="an entry point of llmspell.tools names a llmspell_tools.contract.Tool",
            details={"tool": entry.name, "package": package},
        )
    return tool
