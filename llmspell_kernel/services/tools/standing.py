"""What the result of a tool's call depends on beside its parameters: who calls, what it may touch, and the settings.

Two calls with the same parameters may give the same result only where all of this is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.tools.limits import tables_of
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.permissions import Permissions

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

_OF_AN_OWNER = ("script", "agent")
"""Sources of tools whose names mean another one for each owner."""


class Standing:
    """What one call is done under. `permissions` may grow while it is done: a person is asked for what is lacking."""

    def __init__(
        self, request: Request, tool: ToolDescription, permissions: Permissions, settings: Callable[[], Settings]
    ) -> None:
        self.permissions = permissions
        self._caller = request.caller
        self._tool = tool
        self._settings = settings
        self._instead: tuple[str, Mapping[str, Any]] | None = None

    def done_instead(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Another tool was called, or with other parameters, than the data of the hooks say."""
        self._instead = name, parameters

    def text(self) -> str:
        """All of it as one text, with values of variables in it: not to be kept as it is."""
        settings, caller, may = self._settings(), self._caller, self.permissions
        parts = [
            [self._tool.name, self._tool.source, owner_of(caller) if self._tool.source in _OF_AN_OWNER else None],
            [caller.key_id, caller.kind, sorted(caller.capabilities), caller.local, sorted(caller.reach)],
            sorted(caller.hosts),
            *(sorted(set(names)) for names in (may.read, may.write, may.net, may.blocked, may.run, may.env)),
            [sorted(may.variables.items()), may.working_directory],
            [settings.tools.enabled, tables_of(self._tool, settings)],
            self._instead,
        ]
        return json.dumps(parts, sort_keys=True, default=str)
