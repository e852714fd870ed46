"""A person's word on a call that a model asks for. Knows no requests: the toolbox asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llmspell_kernel.services.agents.toolbox import Toolbox
from llmspell_kernel.services.tools.asking import AskingTime
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.plain_text import shown_name
from llmspell_protocol.tools.description import ToolDescription

_BEGINNING, _END = 1500, 500
"""Characters of long arguments in a question: what a person must not miss may stand at either end."""
_SETTING = "tools.approval"


class Approval:
    """Asks about the calls of one turn, each within `asking`."""

    def __init__(self, toolbox: Toolbox, agent: str, asking: AskingTime) -> None:
        self._toolbox = toolbox
        self._agent = agent
        self._asking = asking

    async def demand(self, tool: ToolDescription, arguments: Mapping[str, Any]) -> None:
        """Returns if the call may be done.

        Raises:
            Forbidden: the person says no, or there is no person to ask; `details{tool, setting}`.
        """
        if not self._toolbox.needs_word(tool):
            return
        details = {"tool": tool.name, "security_level": tool.security_level, "setting": _SETTING}
        async with self._asking():
            answer = await self._toolbox.ask(_question(self._agent, tool, arguments))
        if answer is None:
            raise Forbidden(
                f"tool '{tool.name}' is {tool.security_level} and was not called: no person could be asked",
                hint=f'run it where a person can answer, or set {_SETTING} = "never"',
                details=details,
            )
        if answer.strip().lower() not in ("y", "yes"):
            raise Forbidden(f"tool '{tool.name}' was not called: the person who was asked said no", details=details)


def _question(agent: str, tool: ToolDescription, arguments: Mapping[str, Any]) -> str:
    # Escapes of a terminal and line ends are written out: a model must not draw its own question.
    shown = json.dumps(arguments, ensure_ascii=True)
    if len(shown) > _BEGINNING + _END:
        left_out = len(shown) - _BEGINNING - _END
        shown = f"{shown[:_BEGINNING]} … ({left_out} characters are not shown) … {shown[-_END:]}"
    name = f"'{agent}'" if agent.isprintable() else shown_name(agent)
    return f"Agent {name} wants to call {tool.name} ({tool.security_level}) with {shown}\nAllow it? [y/N] "
