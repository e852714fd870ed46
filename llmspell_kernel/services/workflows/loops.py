"""Loops: over a range, over a collection, or as long as conditions hold."""

from __future__ import annotations

import math
from collections.abc import Iterator as Values
from collections.abc import Mapping, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.services.workflows.conditions import holds
from llmspell_kernel.services.workflows.definition import Iterator
from llmspell_kernel.services.workflows.functions import Argument, plain
from llmspell_kernel.services.workflows.names import LoopPosition
from llmspell_kernel.services.workflows.outcomes import LoopOutcome, StepOutcome
from llmspell_kernel.services.workflows.place import Place
from llmspell_kernel.services.workflows.placeholders import reading_of, substituted
from llmspell_kernel.services.workflows.steps import run_steps
from llmspell_protocol.errors import Cancelled, InvalidRequest, LlmspellError

CONDITION = "condition_false"
BREAK = "break_condition"
LIMIT = "max_iterations"
ERROR = "error"


class _Round(NamedTuple):
    failed: StepOutcome | None
    """The failure that ends the loop."""
    ok: bool
    first_problem: str | None
    output: Any


async def run_loop(place: Place) -> None:
    """Runs the body for each value, as long as the conditions hold.

    Raises:
        InvalidRequest: there is nothing to run, or nothing to go over, or the execution has had its rounds.
        LlmspellError: as conditions and functions do.
    """
    definition, iterator = place.definition, place.definition.iterator
    assert iterator is not None
    if not definition.steps:
        raise InvalidRequest("Cannot execute workflow without steps")
    loop = place.outcome.loop = LoopOutcome(state=dict(definition.initial_state))
    values = await _values(iterator, place, loop)
    kept = place.run.budget
    dropped, first_dropped = 0, 0
    place.outcome.output = place.names.previous
    for index in count():
        item = next(values, _END)
        if item is _END:
            break
        position = LoopPosition(item=item, index=index, total=loop.total, state=loop.state)
        level = place.inside(f"round_{index}", loop=position)
        reason = await _ended_before(iterator, level, index)
        if reason is not None:
            loop.break_reason = reason
            break
        place.run.pace.round()
        done = await _round(level, position)
        # An update may have put another table in the place of the state.
        loop.state = position.state
        place.names.take_all(level.names)
        place.outcome.output = done.output
        place.names.previous = done.output
        if done.ok:
            loop.completed += 1
        else:
            loop.failed += 1
        if kept.admits(done.output):
            loop.outputs.append(done.output)
        else:
            dropped, first_dropped = dropped + 1, first_dropped or index + 1
        if done.failed is not None:
            loop.break_reason = ERROR
            break
        if await _ends_after(level):
            loop.break_reason = BREAK
            break
    place.run.keep("aggregated", loop.outputs)
    await place.run.write()
    if dropped:
        place.run.warn(
            f"workflow '{definition.name}': outputs of {dropped} rounds, from round {first_dropped} on, are left "
            "out of the result: it would be too large"
        )


async def _values(iterator: Iterator, place: Place, loop: LoopOutcome) -> Values[Any]:
    """What the loop goes over; how many there are, where that is known, is noted."""
    if iterator.type == "range":
        loop.range = (iterator.start, iterator.end, iterator.step)
        loop.total = _length(iterator)
        if not loop.total:
            raise InvalidRequest("Range configuration will not iterate")
        return (_at(iterator, index) for index in range(loop.total))
    if iterator.type == "while":
        # What it goes over is how often it has been gone over: from 1 on.
        return iter(count(1))
    items = await _collection(iterator, place)
    # A list that is found out may well be empty; one that is written empty is a mistake.
    if not items and not isinstance(iterator.collection, (ScriptFunction, str)):
        raise InvalidRequest("Collection iterator cannot be empty")
    loop.total = loop.collection_size = len(items)
    return iter(items)


def _length(iterator: Iterator) -> int:
    steps = (iterator.end - iterator.start) / iterator.step
    if not math.isfinite(steps):
        return 0
    # 0.3 / 0.1 is a little less than 3.
    whole = round(steps) if abs(steps - round(steps)) < 1e-9 else steps
    return max(0, math.ceil(whole) if iterator.exclusive else math.floor(whole) + 1)


def _at(iterator: Iterator, index: int) -> float:
    return iterator.start + index * iterator.step


async def _collection(iterator: Iterator, place: Place) -> Sequence[Any]:
    path = (*place.path, "collection")
    known, found = place.run.journal.decided(path)
    if not known:
        given = iterator.collection
        if isinstance(given, ScriptFunction):
            found = await place.run.functions.call(given, place, with_context=True, what="the collection's function")
        else:
            reading = reading_of(place.names, place.run, place.run.warn, f"workflow '{place.definition.name}'")
            found = await substituted(given, reading)
        place.run.journal.decide(path, found)
    if isinstance(found, (list, tuple)):
        return found
    if found is None or found == {}:
        return []
    raise InvalidRequest("the collection of a loop must be a list")


async def _ended_before(iterator: Iterator, level: Place, index: int) -> str | None:
    definition = level.definition
    for at, condition in enumerate((iterator.condition, definition.condition)):
        if not await holds(condition, level, f"condition_{at}"):
            return CONDITION
    return LIMIT if index >= definition.max_iterations else None


async def _ends_after(level: Place) -> bool:
    definition = level.definition
    if definition.break_condition is not None and await holds(definition.break_condition, level, "break"):
        return True
    return definition.continue_condition is not None and not await holds(
        definition.continue_condition, level, "continue"
    )


async def _round(level: Place, position: LoopPosition) -> _Round:
    outcome, run = level.outcome, level.run
    run.watching.tell("iteration_started", level.path, iteration=position.index, total=position.total)
    failures = outcome.failure_count
    failed = await run_steps(level.definition.steps, level, "step")
    ok = outcome.failure_count == failures
    ended = [one for one in level.names.steps.values() if not one.skipped]
    output = _output(level, ended)
    problem = next((one.problem.message for one in ended if one.failed and one.problem is not None), None)
    if failed is None:
        await _update(level, position, ok, problem, output)
    await _tell(level, position, ok)
    return _Round(failed, ok, problem, output)


def _output(level: Place, ended: Sequence[StepOutcome]) -> Any:
    """Of one step in the body its output; of several a table of them."""
    if len(level.definition.steps) == 1:
        return ended[0].output if ended else None
    return {one.name: one.output for one in ended}


async def _update(level: Place, position: LoopPosition, ok: bool, problem: str | None, output: Any) -> None:
    """Lets `state_update` change the state."""
    update = level.definition.state_update
    if update is None:
        return
    path = (*level.path, "state")
    known, state = level.run.journal.decided(path)
    if not known:
        body = {"body_output": output, "body_success": ok, "body_error": problem}
        if isinstance(update, ScriptFunction):
            said = await level.run.functions.call(update, level, with_context=True, more=body, what="state_update")
            state = said if isinstance(said, Mapping) else level.names.state
        else:
            state = await level.run.expressions.state_after(update, {**level.names.variables(), **body})
        state = dict(state)
        level.run.journal.decide(path, state)
    position.state = dict(state)
    level.run.watching.tell("state_updated", level.path, state=state)


async def _tell(level: Place, position: LoopPosition, ok: bool) -> None:
    run = level.run
    run.watching.tell("iteration_completed", level.path, iteration=position.index, total=position.total, success=ok)
    function = level.definition.callbacks.get("on_iteration_complete")
    if function is None:
        return
    steps = {name: one.seen() for name, one in islice(level.names.steps.items(), 1000)}
    about = Argument("result", {"current_item": position.item, "steps": steps, "success": ok})
    try:
        await run.functions.call(function, level, plain(position.index + 1), about)
    except LlmspellError as error:
        if isinstance(error, Cancelled):
            raise
        run.warn(f"workflow '{level.definition.name}': on_iteration_complete failed: {error.message}")


_END = object()
