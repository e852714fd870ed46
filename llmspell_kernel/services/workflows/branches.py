"""Branches: all of them side by side, or those whose condition holds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from llmspell_kernel.services.workflows.conditions import holds
from llmspell_kernel.services.workflows.definition import Branch
from llmspell_kernel.services.workflows.functions import Argument, call_once
from llmspell_kernel.services.workflows.outcomes import BranchOutcome, Failure, Problem
from llmspell_kernel.services.workflows.place import Place
from llmspell_kernel.services.workflows.results import branches_of
from llmspell_kernel.services.workflows.steps import goes_on, run_step, run_steps
from llmspell_protocol.errors import InvalidRequest


async def run_parallel(place: Place) -> None:
    """Runs all branches, at most `max_concurrency` at a time, and then the steps behind them.

    Raises:
        InvalidRequest: there is nothing to run.
        LlmspellError: as conditions and functions do.
    """
    definition, outcome = place.definition, place.outcome
    if not definition.branches:
        raise InvalidRequest("Cannot execute workflow without steps")
    await call_once(place, "setup")
    fail_fast = definition.fails_fast
    outcome.branches = [BranchOutcome(name=one.name, required=one.required) for one in definition.branches]
    levels = [place.inside("branch", one.name, branch=one.name) for one in definition.branches]
    room = asyncio.Semaphore(definition.max_concurrency)
    failed: list[BranchOutcome] = []

    async def one(branch: Branch, level: Place, result: BranchOutcome) -> None:
        async with room:
            if outcome.stopped_early:
                result.success, result.stopped = False, True
                return
            await run_branch(branch, level, result)
            if result.problem is not None and branch.required:
                failed.append(result)
                if fail_fast:
                    outcome.stopped_early = True
                    for task, other in zip(tasks, outcome.branches, strict=True):
                        if other is not result and not task.done():
                            other.success, other.stopped = False, True
                            task.cancel()

    tasks = [
        asyncio.get_running_loop().create_task(one(*each))
        for each in zip(definition.branches, levels, outcome.branches, strict=True)
    ]
    await _all_ended(tasks)
    # Which of two branches was first says nothing, and is another each time: what failed is told in their order.
    outcome.failures = {
        Failure(step.name, one.name): step.problem
        for one in outcome.branches
        for step in one.steps
        if step.failed and not step.optional
    }
    for level in levels:
        place.names.take_all(level.names)
    place.names.branches = outcome.branches
    place.names.previous = outcome.output = {one.name: one.output for one in outcome.branches}
    await _judge(place, failed, fail_fast=fail_fast)
    if outcome.failed_step is None and definition.post_steps:
        await run_steps(definition.post_steps, place, "post")
        outcome.output = place.names.previous


async def _all_ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Waits for all; the error of one ends the others, and so does the end of the wait. None is left running."""
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        broken = next((one for one in ended if not one.cancelled() and one.exception() is not None), None)
        if broken is None:
            await asyncio.wait(tasks)
            return
    finally:
        running = [one for one in tasks if not one.done()]
        for one in running:
            one.cancel()
        while running:
            try:
                await asyncio.wait(running)
            except asyncio.CancelledError:
                # A second cancel: they have been told already, and are waited for all the same.
                for one in running:
                    one.cancel()
            running = [one for one in running if not one.done()]
        for one in tasks:
            if not one.cancelled():
                one.exception()  # It was seen; the first is raised.
    raise broken.exception() or AssertionError


async def _judge(place: Place, failed: Sequence[BranchOutcome], *, fail_fast: bool) -> None:
    """Whether all in all it succeeded."""
    definition, outcome = place.definition, place.outcome
    succeeded = [one for one in outcome.branches if one.success]
    criteria = definition.success_criteria
    if criteria == "all":
        good = not failed
    elif criteria == "any":
        good = bool(succeeded)
    else:
        said = await place.run.functions.call(criteria, place, Argument("result", branches_of(outcome.branches)))
        good = said is not None and said is not False
    if good:
        outcome.failures = {}  # It can do without what failed.
        return
    first = failed[0] if failed else next((one for one in outcome.branches if not one.success), None)
    if first is None:
        outcome.success, outcome.problem = False, Problem("the success criteria are not met", "workflow_failed")
    elif fail_fast:
        outcome.failed_step = next((one.name for one in first.steps if one.failed), first.name)
    elif not outcome.failures:
        outcome.failures = {Failure(one.name, one.name): one.problem for one in failed}
    outcome.success = False


async def run_branch(branch: Branch, place: Place, result: BranchOutcome) -> None:
    """Runs the steps of a branch; what came of it is `result`, which grows meanwhile."""
    began = time.monotonic()
    place.run.watching.tell("branch_started", place.path, branch=branch.name)
    try:
        for step in branch.steps:
            done = await run_step(step, place, "step")
            result.steps.append(done)
            if not done.skipped:
                result.output = done.output
            if not done.failed:
                continue
            if done.optional and len(branch.steps) > 1:
                continue
            result.success = False
            result.problem = result.problem or done.problem or Problem("it failed", "failed")
            if not goes_on(step, place):
                break
    finally:
        result.duration_ms = (time.monotonic() - began) * 1000
    told = {"branch": branch.name, "success": result.success, "duration_ms": round(result.duration_ms)}
    place.run.watching.tell("branch_completed", place.path, **told)


async def run_conditional(place: Place) -> None:
    """Runs the steps before, then the first branch whose condition holds, or all such, or the default.

    Raises:
        InvalidRequest: there is nothing to run.
        LlmspellError: as conditions and functions do.
    """
    definition, outcome = place.definition, place.outcome
    if not definition.branches and definition.default is None:
        raise InvalidRequest("Cannot execute workflow without steps")
    if await run_steps(definition.steps, place, "pre") is not None:
        return
    outcome.output = place.names.previous
    taken: list[Branch] = []
    for branch in definition.branches:
        if await holds(branch.condition, place, "condition", branch.name):
            taken.append(branch)
            if not definition.all_matching:
                break
    outcome.matched = len(taken)
    if not taken and definition.default is not None and definition.default_on_no_match:
        taken = [definition.default]
    if taken:
        outcome.branch_taken = taken[0].name
    for branch in taken:
        level = place.inside("branch", branch.name, branch=branch.name)
        result = BranchOutcome(name=branch.name)
        outcome.branches.append(result)
        began = time.monotonic()
        place.run.watching.tell("branch_started", level.path, branch=branch.name)
        failed = await run_steps(branch.steps, level, "step")
        place.names.take_all(level.names)
        place.names.previous = level.names.previous
        result.steps = list(level.names.steps.values())
        result.output = outcome.output = level.names.previous
        result.duration_ms = (time.monotonic() - began) * 1000
        result.success = not any(one.failed for one in result.steps)
        result.problem = next((one.problem for one in result.steps if one.failed), None)
        told = {"branch": branch.name, "success": result.success, "duration_ms": round(result.duration_ms)}
        place.run.watching.tell("branch_completed", level.path, **told)
        if failed is not None:
            return
