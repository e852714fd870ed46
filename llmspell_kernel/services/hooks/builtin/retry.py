"""Has failed executions tried again, where the failure may pass by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.builtin.native import ERRORS
from llmspell_kernel.services.hooks.hook import Occasion
from llmspell_kernel.services.hooks.verdict import Verdict
from llmspell_protocol.errors import LlmspellError

if TYPE_CHECKING:
    from llmspell_profiles.schema.hooks import RetryHook


class Retry:
    """`retry`"""

    name = "retry"
    priority = "low"
    points = ERRORS
    description = "tries again what may succeed the next time"

    def __init__(self, settings: RetryHook) -> None:
        self._most = settings.max_attempts
        self._delay_ms = settings.delay_ms
        self._asked = 0

    async def at(self, occasion: Occasion) -> Verdict:
        """Whether it is worth another attempt."""
        if not isinstance(occasion.raw, LlmspellError) or not occasion.raw.retryable:
            return Verdict("continue", occasion.data)
        self._asked += 1
        return Verdict("retry", occasion.data, delay_ms=self._delay_ms, max_attempts=self._most)

    def figures(self, key_id: str) -> Mapping[str, Any]:
        """How often another attempt was asked for."""
        return {"asked_for": self._asked}
