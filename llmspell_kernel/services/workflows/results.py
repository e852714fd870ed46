"""The one table that `execute` gives, for both dialects: plain data, which scripts decorate. Runs nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmspell_kernel.services.workflows.outcomes import PARTIAL, BranchOutcome, FlowOutcome, Problem, StepOutcome

_NAMED = 10
"""So many of the steps that failed beside the first are named in the sentence about it; the list has all."""


def result_of(
    outcome: FlowOutcome, id: str, *, agent_outputs: Mapping[str, str], warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """The result of a workflow; `id` is the execution's."""
    took = round(outcome.duration_ms)
    extra = _extra(outcome, id, agent_outputs)
    metadata: dict[str, Any] = {
        "execution_time_ms": took,
        "steps_executed": outcome.executed,
        "steps_succeeded": outcome.succeeded,
        "extra": extra,
    }
    if warnings:
        metadata["warnings"] = list(warnings)
    result: dict[str, Any] = {
        "success": outcome.success,
        "text": text_of(outcome),
        "output": outcome.output,
        "final_output": outcome.output,
        "outputs": dict(outcome.outputs()),
        "step_results": {name: one.record() for name, one in outcome.steps.items()},
        "step_timings": {name: round(one.duration_ms) for name, one in outcome.steps.items()},
        "last_completed_step": outcome.last_completed,
        "failed_step": outcome.first_failed,
        "failed_steps": failed_steps_of(outcome),
        "partial_success": outcome.partial,
        "duration_ms": took,
        "execution_time": took,
        "data": _data(outcome),
        "metadata": metadata,
        "media": [],
        "tool_calls": [],
    }
    if outcome.problem is not None and not outcome.success:
        result["error"] = outcome.problem.shown()
    if outcome.skipped:
        result["skipped"] = True
    if outcome.loop is not None:
        loop = outcome.loop
        result |= {
            "iterations": loop.completed + loop.failed,
            "iteration_outputs": loop.outputs,
            "final_state": loop.state,
            "break_reason": loop.break_reason,
        }
    if outcome.definition.kind == "conditional":
        result |= {"branch_taken": outcome.branch_taken, "matched_branches": outcome.matched}
    if outcome.definition.kind == "parallel":
        result["branches"] = branches_of(outcome.branches)
    return result


def failed_steps_of(outcome: FlowOutcome) -> list[dict[str, Any]]:
    """The steps whose failure is the workflow's, in their order, each with its branch and why it first failed."""
    if outcome.success:
        return []
    return [
        {
            "step": failure.step,
            **({} if failure.branch is None else {"branch": failure.branch}),
            "error": (problem or Problem("it failed", "failed")).shown(),
        }
        for failure, problem in outcome.failures.items()
    ]


def branches_of(branches: Sequence[BranchOutcome]) -> list[dict[str, Any]]:
    """Branches as results have them; scripts find them by name too."""
    return [_branch(one) for one in branches]


def _branch(one: BranchOutcome) -> dict[str, Any]:
    branch: dict[str, Any] = {
        "name": one.name,
        "success": one.success,
        "output": one.output,
        "outputs": {step.name: step.output for step in one.steps if not step.skipped},
        "steps": [_branch_step(step) for step in one.steps],
        "duration_ms": round(one.duration_ms),
    }
    if one.problem is not None:
        branch["error"] = one.problem.shown()
    if one.stopped:
        branch["stopped"] = True
    return branch


def _branch_step(step: StepOutcome) -> dict[str, Any]:
    return {"name": step.name, "type": step.type, **step.record()}


def text_of(outcome: FlowOutcome) -> str:
    """What the result says in a sentence; one that failed does not say that it completed."""
    definition, kind = outcome.definition, outcome.definition.kind.capitalize()
    head = f"{kind} workflow '{definition.name}'"
    took = f"Duration: {_duration(outcome.duration_ms)}"
    if outcome.skipped:
        return f"{head} was skipped: {outcome.problem.message if outcome.problem else 'a hook left it out'}. {took}"
    if not outcome.success:
        why = outcome.problem.message if outcome.problem is not None else "it failed"
        if outcome.failed_step is not None:
            why = why.removeprefix(f"Step '{outcome.failed_step}' failed: ")
            return f"{head} failed at step '{outcome.failed_step}': {why}. {took}"
        if outcome.problem is not None and outcome.problem.code == PARTIAL:
            return f"{head} failed at {_failures_text(failed_steps_of(outcome))}. {took}"
        return f"{head} failed: {why}. {took}"
    return f"{head} completed successfully. {_counts(outcome)}. {took}"


def _failures_text(failed: Sequence[Mapping[str, Any]]) -> str:
    """The first that failed and why, and the names of the others."""
    first, *others = failed
    step, branch = first["step"], first.get("branch", first["step"])
    where = f"step '{step}'" if branch == step else f"step '{step}' of branch '{branch}'"
    names = list(dict.fromkeys(one["step"] for one in others if one["step"] != step))
    rest = len(names) - _NAMED
    also = "".join(f", '{name}'" for name in names[:_NAMED]).removeprefix(", ")
    more = f" and {rest} more" if rest > 0 else ""
    return f"{where}: {first['error']['message']}" + (f" (also failed: {also}{more})" if names else "")


def _counts(outcome: FlowOutcome) -> str:
    kind = outcome.definition.kind
    if kind == "parallel":
        good = sum(one.success for one in outcome.branches)
        count = len(outcome.branches)
        return f"{count} branches executed, {good} succeeded, {count - good} failed"
    if kind == "conditional":
        taken = f"branch '{outcome.branch_taken}' taken" if outcome.branch_taken is not None else "no branch taken"
        return f"{outcome.executed} steps executed, {taken}"
    if kind == "loop" and outcome.loop is not None:
        ended = f", ended by {outcome.loop.break_reason}" if outcome.loop.break_reason is not None else ""
        rounds = outcome.loop.completed + outcome.loop.failed
        return f"{rounds} iterations executed, {outcome.executed} steps executed{ended}"
    return f"{outcome.executed} steps executed"


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:.2f}s" if milliseconds >= 1000 else f"{milliseconds:.0f}ms"


def _data(outcome: FlowOutcome) -> dict[str, Any]:
    loop = outcome.loop
    good = sum(one.success for one in outcome.branches)
    data: dict[str, Any] = {
        "steps_executed": outcome.executed,
        "final_output": outcome.output,
        "completed_iterations": 0 if loop is None else loop.completed,
        "aggregated_results": [] if loop is None else loop.outputs,
        "executed_branches": sum(not one.stopped for one in outcome.branches),
        "successful_branches": good,
        "failed_branches": len(outcome.branches) - good,
    }
    if outcome.branch_taken is not None:
        data["branch_taken"] = outcome.branch_taken
    return data


def _extra(outcome: FlowOutcome, id: str, agent_outputs: Mapping[str, str]) -> dict[str, Any]:
    definition = outcome.definition
    failed = outcome.executed - outcome.succeeded
    extra: dict[str, Any] = {
        "workflow_type": definition.kind,
        "workflow_name": definition.name,
        "execution_id": id,
        "agent_outputs": dict(agent_outputs),
        "total_steps": definition.step_count,
        "successful_steps": outcome.succeeded,
        "failed_steps": failed,
        "success_rate": outcome.succeeded / outcome.executed if outcome.executed else 0.0,
    }
    if definition.kind == "parallel":
        good = sum(one.success for one in outcome.branches)
        extra |= {
            "total_branches": len(definition.branches),
            "successful_branches": good,
            "failed_branches": len(outcome.branches) - good,
            "stopped_early": outcome.stopped_early,
            "max_concurrency": definition.max_concurrency,
            "fail_fast": definition.fails_fast,
        }
    elif definition.kind == "conditional":
        extra |= {
            "total_branches": len(definition.branches) + (definition.default is not None),
            "matched_branches": outcome.matched,
            "executed_branches": len(outcome.branches),
            "execute_all_matching": definition.all_matching,
            "short_circuit_evaluation": not definition.all_matching,
        }
    elif outcome.loop is not None:
        extra |= _loop_extra(outcome)
    return extra


def _loop_extra(outcome: FlowOutcome) -> dict[str, Any]:
    definition, loop = outcome.definition, outcome.loop
    assert loop is not None
    assert definition.iterator is not None
    extra: dict[str, Any] = {
        "total_iterations": loop.completed + loop.failed,
        "completed_iterations": loop.completed,
        "break_reason": loop.break_reason,
        "aggregated_results_count": len(loop.outputs),
        "iterator_type": definition.iterator.type,
        "max_iterations": definition.max_iterations,
    }
    if loop.collection_size is not None:
        extra["collection_size"] = loop.collection_size
    if loop.range is not None:
        extra |= dict(zip(("range_start", "range_end", "range_step"), loop.range, strict=True))
    conditions = (definition.iterator.condition, definition.condition)
    shown = next((one.fields["expression"] for one in conditions if one is not None and one.type == "expression"), None)
    if shown is not None:
        extra["condition"] = shown
    return extra
