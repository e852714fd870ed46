"""One step from beginning to end: whether it runs, with which input, how often it is tried, and who hears of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.services.workflows.acts import Done, done, said_by_function
from llmspell_kernel.services.workflows.conditions import holds
from llmspell_kernel.services.workflows.definition import Retry, Step
from llmspell_kernel.services.workflows.functions import Argument, plain
from llmspell_kernel.services.workflows.outcomes import Problem, StepOutcome
from llmspell_kernel.services.workflows.place import Place, Undo
from llmspell_kernel.services.workflows.placeholders import reading_of, substituted, template_input
from llmspell_protocol.errors import (
    Cancelled,
    ConfigError,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    NotFound,
    Unsupported,
)
from llmspell_protocol.tools.names import tool_name

LONGEST_PAUSE_S = 60.0
MOST_ON_ERROR = 100
"""So often `on_error` may ask for one more try of a step."""

_LASTING = (ConfigError, Forbidden, InvalidRequest, NotFound, Unsupported)
"""What the next try would end in as well."""


async def run_steps(steps: Sequence[Step], place: Place, key: str) -> StepOutcome | None:
    """Runs steps one after the other; the one whose failure ended it, or None. `key` tells it from other sequences."""
    for step in steps:
        outcome = await run_step(step, place, key)
        if outcome.failed and not goes_on(step, place):
            place.outcome.failed_step = outcome.name
            return outcome
    return None


def goes_on(step: Step, place: Place) -> bool:
    """Whether the workflow goes on when this step has failed."""
    return place.definition.strategy.continues if step.continues is None else step.continues


async def run_step(step: Step, place: Place, key: str) -> StepOutcome:
    """One step; what follows can name it. Its failure is its outcome, not an error.

    Raises:
        Cancelled: a hook or the caller ended it all.
        InvalidRequest: the execution has begun as many steps as it may.
    """
    await place.run.pace.step()
    place = place.inside(key)
    path = (*place.path, step.name)
    run, names = place.run, place.names
    outcome = run.journal.finished(path, step)
    if outcome is None:
        outcome = await _Attempt(step, place).run()
        await run.journal.finish(path, outcome, names.shared)
        if run.journal.is_kept:
            await run.watching.note("WorkflowCheckpoint", path, {"step": step.name, "result": outcome.record()})
    elif not outcome.failed and not outcome.skipped and "compensate" in step.callbacks:
        place.undo.append(Undo(step=step, context=place.context(step.name, input=None)))
    around = names.around
    assert around is not None
    around.take(outcome)
    place.outcome.take(outcome)
    return outcome


class _Attempt:
    """One step while it runs."""

    def __init__(self, step: Step, place: Place) -> None:
        self._step = step
        self._place = place
        self._run = place.run
        self._path = (*place.path, step.name)
        self._began = time.monotonic()
        self._given: Any = None

    async def run(self) -> StepOutcome:
        step, watching = self._step, self._run.watching
        outcome = StepOutcome(name=step.name, type=step.type, optional=step.optional)
        about = {"step": step.name, "type": step.type, "workflow": self._place.definition.name}
        begun = False
        try:
            if not await self._is_wanted():
                outcome.skipped = True
                watching.tell("step_skipped", self._path, **about)
                return outcome
            self._given = await self._input()
            if self._place.outcome.last_completed is not None:
                moved = {"from": self._place.outcome.last_completed, "to": step.name}
                await watching.note("WorkflowStageTransition", self._path, moved)
            told = await watching.ask("BeforeWorkflowStage", self._path, {**about, "input": self._given})
            if told.kind in ("skip", "replace"):
                outcome.skipped = told.kind == "skip"
                outcome.output = outcome.result = told.value
                watching.tell("step_skipped", self._path, **about)
                return outcome
            self._given = told.data.get("input")
            watching.tell("step_started", self._path, **about)
            begun = True
            await self._observe("on_step_start", plain(step.name))
            await self._call("setup", plain(self._item()))
            await self._call("before_execute", with_context=True, more={"input": self._given})
            self._take(outcome, await self._tried(outcome))
        except LlmspellError as error:
            if isinstance(error, Cancelled):
                raise
            self._take(outcome, await self._handled(error, outcome))
        except asyncio.CancelledError:
            if begun:
                watching.tell("step_cancelled", self._path, **about)
            raise
        outcome.duration_ms = (time.monotonic() - self._began) * 1000
        if not begun and outcome.failed:
            watching.tell("step_started", self._path, **about)
        await self._tell_end(outcome, about)
        return outcome

    async def _is_wanted(self) -> bool:
        step, place = self._step, self._place
        if not await holds(step.condition, place, step.name, "condition", step=step.name):
            return False
        if step.skip_if is None:
            return True
        return not await holds(step.skip_if, place, step.name, "skip_if", step=step.name)

    async def _input(self) -> Any:
        given, place = self._step.input, self._place
        if isinstance(given, ScriptFunction):
            return await self._run.functions.call(given, place, step=self._step.name, with_context=True)
        reading = reading_of(place.names, self._run, self._run.warn, f"step '{self._step.name}'")
        is_template = self._step.tool is not None and tool_name(self._step.tool, _TEMPLATES) is not None
        return await (template_input(given, reading) if is_template else substituted(given, reading))

    def _item(self) -> Any:
        loop = self._place.names.loop
        return self._given if loop is None else loop.item

    # Tries

    async def _tried(self, outcome: StepOutcome) -> Done:
        retry = self._step.retry or self._place.definition.strategy.retry or _ONCE
        again = 0
        while True:
            try:
                found = await done(self._step, self._place, self._given)
                problem, lasting = found.problem if found.failed else None, False
                if not found.failed:
                    return found
            except LlmspellError as error:
                if isinstance(error, Cancelled):
                    raise
                found = Done(output=None, success=False, problem=Problem.of(error), failed=True)
                problem, lasting = found.problem, isinstance(error, _LASTING)
            if outcome.retries < retry.attempts - 1 and not lasting:
                outcome.retries += 1
                await self._pause(retry, outcome.retries, problem)
                continue
            handled = await self._on_error(problem)
            if handled is None:
                return found
            if handled is not _AGAIN:
                return handled
            again += 1
            if again > MOST_ON_ERROR:
                return found
            outcome.retries += 1

    async def _pause(self, retry: Retry, number: int, problem: Problem | None) -> None:
        about = {"step": self._step.name, "attempt": number, "error": problem.message if problem else ""}
        self._run.watching.tell("step_retried", self._path, **about)
        await self._observe("on_retry", plain(number), _error(problem))
        seconds = _pause_s(retry, number)
        if retry.jitter:
            seconds *= self._run.uniform(0.75, 1.25)
        if seconds > 0:
            await self._run.sleep(min(seconds, LONGEST_PAUSE_S))

    async def _handled(self, error: LlmspellError, outcome: StepOutcome) -> Done:
        """What came of a step that failed before its work or around it."""
        found = Done(output=None, success=False, problem=Problem.of(error), failed=True)
        handled = await self._on_error(found.problem)
        return found if handled is None or handled is _AGAIN else handled

    async def _on_error(self, problem: Problem | None) -> Done | None:
        """What `on_error` of the step, or of the workflow, makes of a failure; None: it stays one."""
        for callbacks in (self._step.callbacks, self._place.definition.callbacks):
            function = callbacks.get("on_error")
            if function is None:
                continue
            try:
                said = await self._run.functions.call(
                    function, self._place, _error(problem), plain(self._step.name), step=self._step.name
                )
            except LlmspellError as error:
                if isinstance(error, Cancelled):
                    raise
                self._run.warn(f"step '{self._step.name}': on_error failed: {error.message}")
                continue
            if isinstance(said, Mapping):
                if said.get("retry") is True:
                    return _AGAIN
                return said_by_function({"success": True, **said})
        return None

    # What it tells

    def _take(self, outcome: StepOutcome, found: Done) -> None:
        outcome.output, outcome.result = found.output, found.result
        outcome.success, outcome.problem = found.success, found.problem
        outcome.failed, outcome.inner = found.failed, found.inner
        if not found.failed:
            self._place.undo.extend(found.undo)

    async def _tell_end(self, outcome: StepOutcome, about: Mapping[str, Any]) -> None:
        step, place, run = self._step, self._place, self._run
        took = round(outcome.duration_ms)
        if outcome.failed:
            problem = outcome.problem or Problem("it failed", "failed")
            run.watching.tell(
                "step_failed", self._path, **about, duration_ms=took, error=problem.message, code=problem.code
            )
        else:
            if "compensate" in step.callbacks:
                undo = place.context(step.name, input=self._given, output=outcome.output, result=outcome.result)
                place.undo.append(Undo(step=step, context=undo))
            run.watching.tell("step_completed", self._path, **about, duration_ms=took, success=outcome.success)
        await run.watching.note("AfterWorkflowStage", self._path, {**about, "result": outcome.record()})
        self._keep(outcome)
        await run.write()
        result = Argument("result", outcome.seen())
        await self._observe("after_execute", result, of="step")
        inner = outcome.result if outcome.inner is not None else outcome.seen()
        await self._observe("on_complete", Argument("result", inner), of="step")
        await self._observe("trace", plain(outcome.duration_ms), of="step")
        await self._observe("on_step_complete", plain(step.name), result)

    def _keep(self, outcome: StepOutcome) -> None:
        names = self._place.names
        value = {
            "step_name": outcome.name,
            "step_id": "/".join(self._path),
            "output": outcome.output,
            "duration_ms": round(outcome.duration_ms),
            "retry_count": outcome.retries,
        }
        if names.loop is not None:
            self._run.keep(f"iteration_{names.loop.index}:{outcome.name}", value)
        elif names.branch is not None:
            self._run.keep(f"branch_{names.branch}:{outcome.name}", value)
        self._run.keep(outcome.name, value)

    async def _call(self, name: str, *arguments: Argument, **how: Any) -> Any:
        """A callback of the step's whose failure is the step's."""
        function = self._step.callbacks.get(name)
        if function is None:
            return None
        return await self._run.functions.call(function, self._place, *arguments, step=self._step.name, **how)

    async def _observe(self, name: str, *arguments: Argument, of: str = "") -> None:
        """A callback that only hears of something: its failure is told with the result."""
        callbacks = self._step.callbacks if of or name == "on_retry" else self._place.definition.callbacks
        function = callbacks.get(name)
        if function is None:
            return
        try:
            await self._run.functions.call(function, self._place, *arguments, step=self._step.name)
        except LlmspellError as error:
            if isinstance(error, Cancelled):
                raise
            self._run.warn(f"step '{self._step.name}': {name} failed: {error.message}")


def _pause_s(retry: Retry, number: int) -> float:
    """The pause before a try; what grows beyond all bounds is infinite, where a power would be an error."""
    seconds = retry.backoff_ms / 1000
    for _ in range(number - 1):
        seconds *= retry.multiplier
    return seconds


def _error(problem: Problem | None) -> Argument:
    return Argument("error", (problem or Problem("it failed", "failed")).shown())


_AGAIN = Done(output=None)
"""One more try, as `on_error` wants it."""
_ONCE = Retry(attempts=1)
_TEMPLATES = ("template-creator",)
