"""What a step can name where it stands: steps before it, the input, shared data, the loop and branch around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmspell_kernel.services.workflows.outcomes import BranchOutcome, StepOutcome


@dataclass(kw_only=True)
class LoopPosition:
    """Where a loop is. `index` counts from 0; `state` is the loop's, which its update changes."""

    item: Any
    index: int
    total: int | None
    state: dict[str, Any]


@dataclass(kw_only=True)
class Names:
    """One level of names: a sequence, a branch or a round; what it doesn't have itself is looked for around it."""

    input: Any = None
    shared: dict[str, Any] = field(default_factory=dict)
    around: Names | None = None
    loop: LoopPosition | None = None
    branch: str | None = None
    branches: Sequence[BranchOutcome] = ()
    previous: Any = None
    steps: dict[str, StepOutcome] = field(default_factory=dict)

    def inside(self, *, loop: LoopPosition | None = None, branch: str | None = None) -> Names:
        """A level within this one."""
        return Names(
            input=self.input,
            shared=self.shared,
            around=self,
            loop=loop or self.loop,
            branch=branch or self.branch,
            branches=self.branches,
            previous=self.previous,
        )

    def take(self, outcome: StepOutcome) -> None:
        """A step has ended: what follows can name it."""
        self.steps[outcome.name] = outcome
        if not outcome.skipped:
            self.previous = outcome.output

    def take_all(self, inner: Names) -> None:
        """What an inner level knows is known here too: it has ended."""
        self.steps.update(inner.steps)

    def step(self, name: str) -> StepOutcome | None:
        """The outcome of a step."""
        level: Names | None = self
        while level is not None:
            if name in level.steps:
                return level.steps[name]
            level = level.around
        return None

    def visible(self) -> Mapping[str, StepOutcome]:
        """All steps that can be named here."""
        found: dict[str, StepOutcome] = {}
        for level in reversed(tuple(self._levels())):
            found.update(level.steps)
        return found

    def branch_step(self, branch: str, step: str) -> StepOutcome | None:
        """The outcome of a step in a branch that has ended."""
        for one in self.branches:
            if one.name == branch:
                return next((outcome for outcome in one.steps if outcome.name == step), None)
        return None

    @property
    def state(self) -> dict[str, Any]:
        """The state of the innermost loop."""
        return {} if self.loop is None else self.loop.state

    def _levels(self) -> Iterator[Names]:
        level: Names | None = self
        while level is not None:
            yield level
            level = level.around

    def variables(self) -> dict[str, Any]:
        """What Lua expressions see here; steps stand under their names too where nothing else has them."""
        steps = {name: {"output": one.output, "success": one.success} for name, one in self.visible().items()}
        outputs = {f"{name}_output": one["output"] for name, one in steps.items()}
        return {
            **outputs,
            **steps,
            "steps": steps,
            "input": self.input,
            "shared": self.shared,
            "state": self.state,
            "iteration": None if self.loop is None else self.loop.index,
            "current_item": None if self.loop is None else self.loop.item,
            "previous_outputs": {name: one["output"] for name, one in steps.items()},
        }


def input_of(given: Any, key: str) -> tuple[bool, Any]:
    """A value of a workflow's input; `text` is the whole where that is a text."""
    if isinstance(given, Mapping):
        return key in given, given.get(key)
    return key == "text" and given is not None, given
