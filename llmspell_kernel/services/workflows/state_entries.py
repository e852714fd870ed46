"""The State as workflows use it: values that placeholders and conditions read, and outputs that stay after the run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.kept_values import kept, shown

if TYPE_CHECKING:
    from llmspell_kernel.request import Request
    from llmspell_kernel.services.state.service import StateService

KEPT_S = 7 * 86_400.0
"""So long the outputs of a run stay."""


class StateEntries:
    """The State of the client whose request runs a workflow."""

    def __init__(self, state: Callable[[], StateService]) -> None:
        self._state = state

    async def get(self, request: Request, scope: str, key: str) -> tuple[bool, Any]:
        """Whether there is a value, and which; where State is off there is none."""
        if not self._state().settings.enabled:
            return False, None
        try:
            found = await self._state().get(request.caller.key_id, scope, key)
        except LlmspellError as error:
            if error.code == "invalid_request":  # No key can be so called, and so none is.
                return False, None
            raise
        return (False, None) if found is None else (True, shown(found.value))

    async def set(self, request: Request, scope: str, values: Sequence[tuple[str, Any]]) -> str | None:
        """Writes values, all or none; returns why not, where they couldn't be. Where State is off it writes nothing."""
        state = self._state()
        if not state.settings.enabled:
            return None
        from llmspell_kernel.services.state.service import Wanted

        try:
            wanted = [Wanted(scope, key, kept(value), KEPT_S) for key, value in values]
            await state.set_many(request.caller.key_id, wanted)
        except LlmspellError as error:
            return error.message
        except ValueError as problem:
            return str(problem)
        return None
