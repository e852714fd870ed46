"""What came of a step, a branch, a loop and a whole workflow while it runs. Knows no forms of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from llmspell_kernel.services.workflows.definition import Definition, StepType
from llmspell_protocol.errors import LlmspellError

PARTIAL = "partial_failure"
"""The code of an error of which the whole was more than one step."""


class Problem(NamedTuple):
    """Why something failed: an error's message and code, and what to do next where that is known."""

    message: str
    code: str
    hint: str | None = None

    @classmethod
    def of(cls, error: LlmspellError) -> Problem:
        """The problem that an error stands for."""
        return cls(error.message, error.code, error.hint)

    def shown(self) -> dict[str, Any]:
        """As results and functions have it."""
        hint = {} if self.hint is None else {"hint": self.hint}
        return {"message": self.message, "code": self.code, **hint}


class Failure(NamedTuple):
    """A step that failed, in a branch or not."""

    step: str
    branch: str | None


@dataclass(kw_only=True)
class StepOutcome:
    """What came of one step. `failed` is what ends a workflow; a function that said `success = false` did not fail."""

    name: str
    type: StepType
    success: bool = True
    output: Any = None
    result: Any = None
    """What stands behind the output: a tool's whole answer, a nested workflow's result."""
    problem: Problem | None = None
    failed: bool = False
    optional: bool = False
    """Its failure is no failure of what it is part of."""
    skipped: bool = False
    retries: int = 0
    duration_ms: float = 0
    restored: bool = False
    """It had finished before the workflow was cut, and did not run again."""
    inner: FlowOutcome | None = None

    def record(self) -> dict[str, Any]:
        """As `step_results` and functions see it."""
        found: dict[str, Any] = {
            "success": self.success,
            "output": self.output,
            "duration_ms": round(self.duration_ms),
            "retry_count": self.retries,
        }
        if self.problem is not None:
            found["error"] = self.problem.shown()
        if self.skipped:
            found["skipped"] = True
        return found

    def seen(self) -> dict[str, Any]:
        """The same with what stands behind the output: what callbacks and `ctx.steps` have."""
        return {**self.record(), "result": self.result, "name": self.name, "type": self.type}


@dataclass(kw_only=True)
class BranchOutcome:
    """What came of a branch."""

    name: str
    required: bool = True
    success: bool = True
    output: Any = None
    steps: list[StepOutcome] = field(default_factory=list)
    problem: Problem | None = None
    duration_ms: float = 0
    stopped: bool = False
    """Another's failure ended it, or it was never begun."""


@dataclass(kw_only=True)
class LoopOutcome:
    """What came of a loop's rounds."""

    total: int | None = None
    """How many rounds there were to be; None where only conditions know."""
    completed: int = 0
    """Rounds that ran to their end, a failed one not counted."""
    failed: int = 0
    outputs: list[Any] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    break_reason: str | None = None
    collection_size: int | None = None
    range: tuple[float, float, float] | None = None


@dataclass(kw_only=True)
class FlowOutcome:
    """What came of a workflow; it grows as that goes on, and is all that there is when a time limit ends it."""

    definition: Definition
    success: bool = True
    skipped: bool = False
    output: Any = None
    problem: Problem | None = None
    failed_step: str | None = None
    last_completed: str | None = None
    failures: dict[Failure, Problem | None] = field(default_factory=dict)
    """The steps that failed and why they first did, in their order; those of branches in the branches' order."""
    failure_count: int = 0
    """How often a step failed; in loops one may often."""
    steps: dict[str, StepOutcome] = field(default_factory=dict)
    """The last outcome of each name, those of branches and rounds too."""
    executed: int = 0
    succeeded: int = 0
    branches: list[BranchOutcome] = field(default_factory=list)
    branch_taken: str | None = None
    matched: int = 0
    stopped_early: bool = False
    loop: LoopOutcome | None = None
    duration_ms: float = 0

    @property
    def first_failed(self) -> str | None:
        """The step whose failure ended it; of one that went on past failures the first that failed."""
        if self.failed_step is None and self.problem is not None and self.problem.code == PARTIAL:
            return next((one.step for one in self.failures), None)
        return self.failed_step

    @property
    def partial(self) -> bool:
        """Whether it went on past a failure."""
        return bool(self.failures) and self.failed_step is None and self.succeeded > 0

    def take(self, outcome: StepOutcome) -> None:
        """Counts a step that has ended."""
        self.steps[outcome.name] = outcome
        if outcome.skipped:
            return
        self.executed += 1
        if outcome.failed:
            if not outcome.optional:
                self.failure_count += 1
                self.failures.setdefault(Failure(outcome.name, None), outcome.problem)
            return
        self.succeeded += 1
        self.last_completed = outcome.name

    def outputs(self) -> Mapping[str, Any]:
        """The output of each step by name."""
        return {name: one.output for name, one in self.steps.items() if not one.skipped}
