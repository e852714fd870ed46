"""What a workflow is made of, checked and in one form. Knows neither requests nor how anything is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmspell_kernel.scripting.contexts import ScriptFunction

Kind = Literal["sequential", "parallel", "conditional", "loop"]
KINDS: tuple[Kind, ...] = ("sequential", "parallel", "conditional", "loop")

StepType = Literal["tool", "agent", "workflow", "custom", "parallel", "conditional", "loop", "sequential"]
STEP_TYPES: tuple[StepType, ...] = (
    "tool",
    "agent",
    "workflow",
    "custom",
    "parallel",
    "conditional",
    "loop",
    "sequential",
)

DEFAULT_TIMEOUT_S = 30.0
"""Of a tool's or a function's step; an agent has its own limit, and so has each step of what is nested."""
DEFAULT_CONCURRENCY = 4
DEFAULT_ITERATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How a step that failed is tried again: `attempts` in all, each wait longer than the one before, and jittered."""

    attempts: int = 3
    backoff_ms: float = 1000
    multiplier: float = 2
    jitter: bool = True


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """What becomes of a workflow when one of its steps fails."""

    continues: bool = False
    """The rest runs all the same, and the result says which failed."""
    retry: Retry | None = None


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Something that holds or doesn't; `fields` are those of its type, other conditions among them."""

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. Which of the fields that name what it does are set depends on its type."""

    name: str
    type: StepType
    tool: str | None = None
    agent: str | Mapping[str, Any] | None = None
    workflow: str | None = None
    """The id or name of one that is kept."""
    inner: Definition | None = None
    """What runs here: of a nested type, or a workflow that stands in the definition."""
    execute: ScriptFunction | None = None
    input: Any = None
    timeout_s: float | None = None
    retry: Retry | None = None
    condition: Condition | None = None
    skip_if: Condition | None = None
    continues: bool | None = None
    """Whether the workflow goes on without it; None: as its strategy says."""
    optional: bool = False
    """Its failure is no failure of the workflow."""
    callbacks: Mapping[str, ScriptFunction] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Steps that run beside others, or instead of others."""

    name: str
    steps: Sequence[Step] = ()
    condition: Condition | None = None
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class Iterator:
    """What a loop goes over: a range, a collection, or nothing, where conditions alone end it."""

    type: Literal["range", "collection", "while"]
    start: float = 0
    end: float = 0
    step: float = 1
    exclusive: bool = False
    """The end of the range is not one of its values."""
    collection: Sequence[Any] | ScriptFunction | str = ()
    """A text is a placeholder for one."""
    condition: Condition | None = None


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A workflow. What its kind does not have is empty."""

    kind: Kind
    name: str
    description: str = ""
    dialect: Literal["builder", "table"] = "table"
    strategy: Strategy = Strategy()
    timeout_s: float | None = None
    pre_condition: Condition | None = None
    input: Any = None
    shared: Mapping[str, Any] = field(default_factory=dict)
    callbacks: Mapping[str, ScriptFunction] = field(default_factory=dict)
    checkpoint: bool = False
    agents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of agents that its steps name, made for each run."""

    steps: Sequence[Step] = ()
    """A sequence's; what runs before a conditional's branches; a loop's body."""
    post_steps: Sequence[Step] = ()
    branches: Sequence[Branch] = ()
    default: Branch | None = None

    max_concurrency: int = DEFAULT_CONCURRENCY
    fail_fast: bool | None = None
    success_criteria: Literal["all", "any"] | ScriptFunction = "all"

    all_matching: bool = False
    default_on_no_match: bool = True

    iterator: Iterator | None = None
    condition: Condition | None = None
    """A loop goes on while it holds."""
    max_iterations: int = DEFAULT_ITERATIONS
    initial_state: Mapping[str, Any] = field(default_factory=dict)
    state_update: str | ScriptFunction | None = None
    break_condition: Condition | None = None
    continue_condition: Condition | None = None
    aggregation: Literal["collect_all", "collect_outputs"] = "collect_all"

    @property
    def fails_fast(self) -> bool:
        """Whether a branch that fails ends the others."""
        if self.fail_fast is not None:
            return self.fail_fast
        return not self.strategy.continues and self.success_criteria == "all"

    @property
    def step_count(self) -> int:
        """How many steps it names, those of nested ones not counted."""
        branches = (*self.branches, *([self.default] if self.default is not None else []))
        return len(self.steps) + len(self.post_steps) + sum(len(branch.steps) for branch in branches)
