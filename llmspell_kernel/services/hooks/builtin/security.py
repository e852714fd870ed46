"""Tells of executions whose parameters are too long, and of what was refused; cancels the former where it is to."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import SecurityHook

log = logging.getLogger(__name__)


class Security:
    """`security`"""

    name = "security"
    priority = "highest"
    points = ("BeforeToolExecution", "BeforeAgentExecution", "BeforeStateWrite", "SecurityViolation")
    description = "tells of parameters that are too long, and of what was refused"

    def __init__(self, settings: SecurityHook) -> None:
        self._most = settings.max_parameter_length
        self._blocks = settings.block
        self._violations = 0
        self._blocked = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Looks at what comes."""
        kind, name = occasion.component
        if occasion.point == "SecurityViolation":
            self._violations += 1
            log.warning("security: %s '%s' was refused: %s", kind, name, occasion.data.get("code"))
            return Verdict("continue", occasion.data)
        for key, value in _parameters(occasion.data):
            size = len(value) if isinstance(value, str) else len(json.dumps(value, default=str))
            if size <= self._most:
                continue
            self._violations += 1
            reason = f"parameter '{key:.60}' of {kind} '{name}' is longer than {self._most} characters ({size})"
            log.warning("security: %s", reason)
            if self._blocks:
                self._blocked += 1
                return Verdict("cancel", occasion.data, reason=reason)
        return Verdict("continue", occasion.data)

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """What was seen, and what was cancelled."""
        return {"violations": self._violations, "blocked": self._blocked}


def _parameters(data: Mapping[str, Any]) -> list[tuple[str, Any]]:
    inner = data.get("parameters")
    if isinstance(inner, Mapping):
        return [(str(key), value) for key, value in inner.items()]
    return [(key, data[key]) for key in ("input", "value") if key in data]
