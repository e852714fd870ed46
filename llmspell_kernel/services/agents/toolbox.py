"""What a turn needs to call tools: found by name, called, allowed by a person. `request_tools` has it for requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from llmspell_kernel.services.tools.asking import AskingTime
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.errors import ToolNotFound
from llmspell_protocol.tools.description import ToolDescription


class Toolbox(Protocol):
    """The tools as one turn may call them."""

    async def find(self, name: str) -> ToolDescription:
        """The tool of this name; raises `ToolNotFound`."""

    def needs_word(self, tool: ToolDescription) -> bool:
        """Whether a person has to allow each call of it that a model asks for (`tools.approval`)."""

    async def ask(self, question: str) -> str | None:
        """What a person answers; None where no person can be asked."""

    async def around(self, tool: ToolDescription, arguments: Mapping[str, Any], do: Do) -> ToolInvokeReply:
        """One call from the model's wish to the reply, permission and all; `do` does it, unless it was answered."""

    async def invoke(
        self, tool: ToolDescription, arguments: Mapping[str, Any], *, asking: AskingTime
    ) -> ToolInvokeReply:
        """Does one call, as `ToolsService.invoke`. Cancelling ends the work."""


Do = Callable[[Toolbox, Mapping[str, Any]], Awaitable[ToolInvokeReply]]
"""Does a call with these arguments; the toolbox is the call's own."""


class NoTools:
    """The toolbox of turns that come from where there are none."""

    async def find(self, name: str) -> ToolDescription:
        """Raises."""
        raise ToolNotFound(f"Tool '{name}' not found", details={"tool": name})

    def needs_word(self, tool: ToolDescription) -> bool:
        """No tool is there to be called, so each would need one."""
        return True

    async def ask(self, question: str) -> str | None:
        """There is no person."""
        return None

    async def around(self, tool: ToolDescription, arguments: Mapping[str, Any], do: Do) -> ToolInvokeReply:
        """As `do`."""
        return await do(self, arguments)

    async def invoke(
        self, tool: ToolDescription, arguments: Mapping[str, Any], *, asking: AskingTime
    ) -> ToolInvokeReply:
        """Raises."""
        raise ToolNotFound(f"Tool '{tool.name}' not found", details={"tool": tool.name})
