"""Lua expressions of workflows, evaluated in a script's worker: in the script's own, or in one for the execution.

What they see is data alone, and nothing that they could call reaches out (`workflow_expressions.lua`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Literal

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction

EVALUATOR = 0
"""The number of the function that every script worker has by itself: it evaluates an expression or a chunk."""


class Expressions:
    """The evaluator of one execution. `close` ends the context that it may have opened."""

    def __init__(self, contexts: Contexts, request: Request) -> None:
        self._contexts = contexts
        self._request = request
        self._opened = AsyncExitStack()
        self._function: ScriptFunction | None = None

    async def value(self, expression: str, variables: Mapping[str, Any]) -> Any:
        """The value of an expression.

        Raises:
            ScriptError: it is none, it fails, or it computes for too long.
        """
        return await self._evaluate("expression", expression, variables)

    async def state_after(self, chunk: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The table `state` as a chunk leaves it. Raises as `value`."""
        state = await self._evaluate("chunk", chunk, variables)
        return dict(state) if isinstance(state, Mapping) else {}

    async def close(self) -> None:
        """Ends the context that was opened for expressions."""
        await self._opened.aclose()

    async def _evaluate(self, kind: Literal["expression", "chunk"], text: str, variables: Mapping[str, Any]) -> Any:
        function = await self._evaluator()
        return await self._contexts.invoke(
            self._request, function, [kind, text, dict(variables)], lambda _stream, _text: None
        )

    async def _evaluator(self) -> ScriptFunction:
        if self._function is None:
            context = self._request.caller.context
            if context is None:
                opened = await self._opened.enter_async_context(self._contexts.isolated())
                context = opened.worker_name
            self._function = ScriptFunction(context, EVALUATOR)
        return self._function
