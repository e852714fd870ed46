"""Which tool a name means: case and `_` don't matter, and the names that scripts of the field use are aliases."""

from __future__ import annotations

from collections.abc import Collection

ALIASES = {
    "template-engine": "template-creator",
    "data-validation": "data-validator",
    "http-request": "http-requester",
    "web-search": "web-searcher",
    "file-reader": "file-operations",
    "file-writer": "file-operations",
    "date-time-handler": "datetime-handler",
    "json-tool": "json-processor",
}
"""Other names of tools, beside a trailing `-tool`."""

LEFT_TO_OTHERS = ("citation-formatter", "graph-builder", "sitemap-crawler", "webpage-monitor", "api-tester")
"""Tools that are left to plug-ins and MCP servers."""


def tool_name(name: str, known: Collection[str]) -> str | None:
    """The known tool that `name` means; None where it means none."""
    if name in known:
        return name
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    for one in (plain, ALIASES.get(plain), plain.removesuffix("-tool"), ALIASES.get(plain.removesuffix("-tool"))):
        if one is not None and one in known:
            return one
    # Tools of MCP servers and plug-ins may have capitals and underscores themselves.
    return next((one for one in known if one.lower().replace("_", "-") == plain), None)
