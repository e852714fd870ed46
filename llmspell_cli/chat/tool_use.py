"""The tools that a conversation's model may call: which, what they may touch, and a line for each call.

Knows tools by name and events of calls; not how a model is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llmspell_cli.invocation import working_directory
from llmspell_cli.permissions import environment
from llmspell_cli.session import Content, Session
from llmspell_cli.terminal.visible import visible
from llmspell_protocol.errors import NotFound
from llmspell_protocol.request_options import RequestOptions

_SHOWN = 100
"""Characters of a call's arguments, or of its result, in a line."""


class ToolUse:
    """`names` are tools as the kernel knows them; `allow` is what the command granted them."""

    def __init__(self, allow: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
        self.names: list[str] = []
        self._allow = allow

    def __bool__(self) -> bool:
        return bool(self.names)

    def add(self, opened: Session, names: Iterable[str], servers: Iterable[str] = ()) -> None:
        """Adds tools by name, and all tools of MCP servers.

        Raises:
            NotFound: there is no such tool, or no such server has any.
        """
        found = [
            str(opened.ask("tool_request", {"action": "info", "tool": name}).content["tool"]["name"]) for name in names
        ]
        servers = list(servers)
        if servers:
            listed = opened.ask("tool_request", {"action": "list"}).content
            for server in servers:
                found += tools_of(server, listed)
        self.names += [name for name in dict.fromkeys(found) if name not in self.names]

    def request_options(self, *, interactive: bool, session: str | None = None) -> RequestOptions:
        """What a request says beside its content: where it is made, what it grants, and whether a person answers."""
        return RequestOptions(
            cwd=working_directory(),
            env=environment(self._allow) or None,
            allow=dict(self._allow) or None,
            interactive=interactive,
            session=session,
        )


def tools_of(server: str, listed: Content) -> list[str]:
    """The names of an MCP server's tools in a reply of `tool_request list`; a script's tool may be called alike.

    Raises:
        NotFound: it has none.
    """
    by_server: dict[str, list[str]] = {}
    for tool in listed["tools"]:
        kind, _, of = str(tool["source"]).partition(" ")
        if kind == "mcp":
            by_server.setdefault(of, []).append(str(tool["name"]))
    if names := by_server.get(server):
        return names
    problem = next((text for text in listed.get("problems", ()) if server in text), None)
    known = f"; servers with tools: {', '.join(sorted(by_server))}" if by_server else ""
    raise NotFound(
        f"MCP server '{server}' has no tools{known}",
        hint=problem or f"name it in [mcp.servers.{server}] of the configuration; llmspell tool list shows its tools",
        details={"server": server},
    )


def line_of(event: Mapping[str, Any], *, verbose: bool) -> str | None:
    """A line for what became of a call; None for what is not shown: a good end, unless `verbose`."""
    name = visible(str(event["name"]))
    if event["phase"] == "started":
        return f"Calling {name} {_short(event.get('arguments') or {})}"
    if event.get("success"):
        return f"{name} gave {_short(event.get('result'))}{_time(event)}" if verbose else None
    return f"{name} failed{_time(event)}: {visible(str(event.get('error')))}"


def failures(reply: Mapping[str, Any]) -> list[str]:
    """A line for each call of a whole reply that failed or was refused: for readers who saw none of them."""
    failed = (call for call in reply.get("tool_calls") or () if not call.get("success"))
    return [f"{visible(str(call['name']))} failed: {visible(str(call.get('error')))}" for call in failed]


def limit_notice(reply: Mapping[str, Any]) -> str | None:
    """Says which limit has ended a turn with tools; None where none has."""
    limit = reply.get("limit")
    if limit is None:
        return None
    if limit == "failed_calls":
        return "[answered without tools: the calls of three replies in a row had failed]"
    calls = len(reply.get("tool_calls") or ())
    return f"[stopped after {calls} calls of tools without an answer: {limit}]"


def _short(value: Any) -> str:
    text = visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _time(event: Mapping[str, Any]) -> str:
    duration_ms = event.get("duration_ms")
    return "" if duration_ms is None else f" ({duration_ms:.0f} ms)"
