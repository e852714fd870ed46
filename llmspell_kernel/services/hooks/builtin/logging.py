"""A line in the kernel's log for each execution: what began, ended or failed, without its data."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.builtin.native import AFTER, BEFORE, ERRORS
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import LoggingHook

log = logging.getLogger(__name__)

_LEVELS = {"off": 0, "error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": 10, "trace": 5}

_TOLD = ("SystemStartup", "SystemShutdown", "ConfigurationChange", "ResourceLimitExceeded")


class Logging:
    """`logging`"""

    name = "logging"
    priority = "lowest"
    points = (*BEFORE, *AFTER, *ERRORS, *_TOLD)
    description = "a line in the log for each execution, and for what becomes of the kernel"

    def __init__(self, settings: LoggingHook) -> None:
        self._level = _LEVELS[settings.level]
        self._lines = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Writes the line."""
        if self._level:
            self._lines += 1
            kind, name = occasion.component
            # What failed is named by its code: the message may quote what a person wrote.
            code = f": {occasion.data['code']}" if "code" in occasion.data else ""
            log.log(self._level, "%s: %s '%s'%s", occasion.point, kind, name, code)
        return Verdict("continue", occasion.data)

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """How many lines."""
        return {"lines": self._lines}
