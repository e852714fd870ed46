# Written from llmspell/asynchronous/tools.py by `make schemas`.
"""The tools of a kernel: its own, those of packages and of MCP servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell.synchronous.asking import Asking
from llmspell_protocol.areas.tool import ToolDetails, ToolInfoReply, ToolInvokeReply, ToolListReply, ToolSummary
from llmspell_protocol.client.sync import OnInput
from llmspell_protocol.tools.description import Category

_REQUEST = "tool_request"


class Tools:
    """`kernel.tools`: what the kernel can do beside asking models."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def list(self, category: Category | None = None) -> Sequence[ToolSummary]:
        """All tools, or those of one category."""
        wanted = {"action": "list", "category": category}
        return (self._asking.ask(ToolListReply, _REQUEST, wanted)).tools

    def info(self, tool: str) -> ToolDetails:
        """Everything about one tool, its parameters among it.

        Raises:
            ToolNotFound: there is none of this name.
        """
        return (self._asking.ask(ToolInfoReply, _REQUEST, {"action": "info", "tool": tool})).tool

    def invoke(
        self,
        tool: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        timeout_s: float | None = None,
        on_input: OnInput | None = None,
    ) -> ToolInvokeReply:
        """Calls a tool. Its own no (a division by zero, a missing file) is `success` false, with the `error`.

        `on_input` is asked where the call lacks a permission; without it such a call is refused.

        Raises:
            ToolNotFound, InvalidRequest: there is no such tool, or it doesn't take these parameters.
            Forbidden: the kernel's settings don't allow what it would touch.
        """
        wanted = {"action": "invoke", "tool": tool, "parameters": dict(parameters or {})}
        return self._asking.ask(ToolInvokeReply, _REQUEST, wanted, about=tool, timeout_s=timeout_s, on_input=on_input)
