"""`execute_request`: a cell of the shared context, or a script in a context of its own."""

from __future__ import annotations

from collections.abc import Callable

from llmspell_kernel.flat_content import standard_content
from llmspell_kernel.request import Reply, Request
from llmspell_kernel.scripting.cell import CellHistory, run_cell
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.engines import engine_named
from llmspell_kernel.scripting.isolated_run import run_isolated
from llmspell_kernel.scripting.job import demand_length
from llmspell_protocol.standard_requests import ExecuteRequest


class ExecuteHandler:
    """Answers `execute_request`."""

    def __init__(self, contexts: Contexts, history: Callable[[], CellHistory] | None = None) -> None:
        """`history` keeps the cells of frontends."""
        self._contexts = contexts
        self._history = history

    async def __call__(self, request: Request) -> Reply:
        """Runs the code and returns the reply; an isolated run raises its error, a cell's reply holds it."""
        wanted = standard_content(ExecuteRequest, request.msg_type, request.content)
        demand_length(wanted.code)
        engine = engine_named(request.options.engine)
        if request.options.isolated:
            return Reply(await run_isolated(self._contexts, engine, request, wanted))
        return Reply(await run_cell(self._contexts.of(request), request, wanted, self._history))
