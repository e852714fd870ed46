"""A workflow from beginning to end: its time limit, its callbacks, what its failure means. Knows the kinds by name."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from llmspell_kernel.services.workflows.branches import run_conditional, run_parallel
from llmspell_kernel.services.workflows.compensation import compensate
from llmspell_kernel.services.workflows.conditions import holds
from llmspell_kernel.services.workflows.definition import Definition, Kind
from llmspell_kernel.services.workflows.functions import Argument, call_once, plain
from llmspell_kernel.services.workflows.loops import run_loop
from llmspell_kernel.services.workflows.names import Names
from llmspell_kernel.services.workflows.outcomes import PARTIAL, FlowOutcome, Problem
from llmspell_kernel.services.workflows.place import Place
from llmspell_kernel.services.workflows.results import result_of
from llmspell_kernel.services.workflows.run import Run
from llmspell_kernel.services.workflows.steps import run_steps
from llmspell_kernel.services.workflows.time_limits import time_limit
from llmspell_protocol.errors import Cancelled, InvalidRequest, LlmspellError, Timeout

MAX_NESTING = 32

SKIPPED = "Precondition not met"
DEEP = "too_deep"


async def run_top(definition: Definition, run: Run, names: Names) -> FlowOutcome:
    """Runs a workflow as an execution of its own; as `run_flow`."""
    place = Place(
        run=run,
        request=run.request,
        definition=definition,
        outcome=FlowOutcome(definition=definition),
        names=names,
        path=(),
        run_flow=run_flow,
    )
    return await run_flow(definition, place, names)


async def run_flow(definition: Definition, around: Place, names: Names) -> FlowOutcome:
    """Runs a workflow in a place; whatever fails in it is its outcome.

    Raises:
        Cancelled: a request of it was cancelled.
    """
    if len(around.path) > 2 * MAX_NESTING:
        problem = f"workflows are nested deeper than {MAX_NESTING}: does '{definition.name}' run itself?"
        return FlowOutcome(definition=definition, success=False, problem=Problem(problem, DEEP))
    place = Place(
        run=around.run,
        request=around.request,
        definition=definition,
        outcome=FlowOutcome(definition=definition),
        names=names,
        path=around.path,
        run_flow=run_flow,
        undo=around.undo,
    )
    return await _Flow(place).run()


class _Flow:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._run = place.run
        self._definition = place.definition
        self._outcome = place.outcome
        self._timed_out = False
        self._about = {"workflow": self._definition.name, "type": self._definition.kind}

    async def run(self) -> FlowOutcome:
        outcome, watching = self._outcome, self._run.watching
        began = time.monotonic()
        watching.tell("workflow_started", self._place.path, **self._about)
        try:
            names = self._place.names
            told = await watching.ask("BeforeWorkflowStart", self._place.path, {**self._about, "input": names.input})
            if told.kind in ("skip", "replace"):
                outcome.skipped, outcome.output = told.kind == "skip", told.value
            else:
                names.input = told.data.get("input")
                await self._body()
        except LlmspellError as error:
            if isinstance(error, Cancelled):
                raise
            outcome.success, outcome.problem = False, Problem.of(error)
            if self._timed_out:
                await self._observe("on_timeout")
        self._settle()
        if not outcome.success and not outcome.skipped:
            await self._failed()
        outcome.duration_ms = (time.monotonic() - began) * 1000
        await self._tell_end()
        return outcome

    async def _body(self) -> None:
        definition = self._definition
        if not await holds(definition.pre_condition, self._place, "pre_condition"):
            self._outcome.success, self._outcome.skipped = False, True
            self._outcome.problem = Problem(SKIPPED, "skipped")
            return
        await call_once(self._place, "on_start")
        limit = definition.timeout_s
        try:
            async with time_limit(limit, f"Workflow '{definition.name}'") as timer:
                await _BODY[definition.kind](self._place)
        except Timeout:
            self._timed_out = timer.expired()
            raise

    def _settle(self) -> None:
        """What the failures of steps mean for the whole."""
        outcome = self._outcome
        if outcome.failed_step is not None:
            failed = outcome.steps.get(outcome.failed_step)
            why = failed.problem if failed is not None else None
            outcome.success = False
            if why is not None and why.code == DEEP:
                outcome.problem = why  # Said once, not by every level.
            if outcome.problem is None:
                why = why or Problem("it failed", "failed")
                outcome.problem = why._replace(message=f"Step '{outcome.failed_step}' failed: {why.message}")
        elif outcome.failures and outcome.problem is None:
            outcome.success = False
            names = ", ".join(dict.fromkeys(one.step for one in outcome.failures))
            hint = next((why.hint for why in outcome.failures.values() if why is not None and why.hint), None)
            outcome.problem = Problem(f"Some steps failed: {names}", PARTIAL, hint)

    async def _failed(self) -> None:
        outcome, place = self._outcome, self._place
        problem = outcome.problem or Problem("it failed", "failed")
        await self._run.watching.note(
            "WorkflowError", place.path, {**self._about, "step": outcome.first_failed, "error": problem.message}
        )
        if not outcome.failures and outcome.failed_step is None:
            # No step had it told.
            error = Argument("error", problem.shown())
            await self._observe("on_error", error)
        # What went on past a failure is meant to stay; a branch's failure is its workflow's all the same.
        went_on = problem.code == PARTIAL and (
            self._definition.kind != "parallel" or self._definition.strategy.continues
        )
        if not went_on:
            await compensate(place, place.undo)

    async def _tell_end(self) -> None:
        definition, outcome, path = self._definition, self._outcome, self._place.path
        result = result_of(outcome, self._run.id, agent_outputs=self._run.agent_outputs)
        arguments = [Argument("result", result)]
        if definition.kind == "sequential":
            arguments.insert(0, plain(outcome.success))
        await self._observe("on_complete", *arguments)
        took = round(outcome.duration_ms)
        if outcome.success or outcome.skipped:
            self._run.watching.tell("workflow_completed", path, **self._about, duration_ms=took)
        else:
            problem = outcome.problem or Problem("it failed", "failed")
            self._run.watching.tell(
                "workflow_failed",
                path,
                **self._about,
                duration_ms=took,
                step=outcome.first_failed,
                error=problem.message,
                code=problem.code,
            )
        await self._run.watching.note("AfterWorkflowComplete", path, {**self._about, "result": result})

    async def _call(self, name: str, *arguments: Argument) -> Any:
        function = self._definition.callbacks.get(name)
        return None if function is None else await self._run.functions.call(function, self._place, *arguments)

    async def _observe(self, name: str, *arguments: Argument) -> None:
        try:
            await self._call(name, *arguments)
        except LlmspellError as error:
            if isinstance(error, Cancelled):
                raise
            self._run.warn(f"workflow '{self._definition.name}': {name} failed: {error.message}")


async def _sequential(place: Place) -> None:
    if not place.definition.steps:
        raise InvalidRequest("Cannot execute workflow without steps")
    await run_steps(place.definition.steps, place, "step")
    place.outcome.output = place.names.previous


_BODY: Mapping[Kind, Callable[[Place], Awaitable[None]]] = {
    "sequential": _sequential,
    "parallel": run_parallel,
    "conditional": run_conditional,
    "loop": run_loop,
}
