"""Where the engine is: the execution, the workflow that runs, the names that are known, and what can be undone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.workflows.definition import Definition, Step
from llmspell_kernel.services.workflows.names import LoopPosition, Names
from llmspell_kernel.services.workflows.outcomes import FlowOutcome
from llmspell_kernel.services.workflows.results import branches_of

if TYPE_CHECKING:
    from llmspell_kernel.request import Request
    from llmspell_kernel.services.workflows.run import Run

Path = tuple[str, ...]
"""A place in the tree of steps: unique in an execution, and the same when it is resumed."""


@dataclass(kw_only=True)
class Undo:
    """A finished step that can be compensated, and what its function is told."""

    step: Step
    context: dict[str, Any]


@dataclass(kw_only=True)
class Place:
    """A level of a workflow that runs; `request` is what its steps are parts of."""

    run: Run
    request: Request
    definition: Definition
    outcome: FlowOutcome
    names: Names
    path: Path
    run_flow: RunFlow
    undo: list[Undo] = field(default_factory=list)

    def inside(
        self, *path: str, loop: LoopPosition | None = None, branch: str | None = None, undo: list[Undo] | None = None
    ) -> Place:
        """A level within this one: a branch or a round."""
        return Place(
            run=self.run,
            request=self.request,
            definition=self.definition,
            outcome=self.outcome,
            names=self.names.inside(loop=loop, branch=branch),
            path=(*self.path, *path),
            run_flow=self.run_flow,
            undo=self.undo if undo is None else undo,
        )

    def step_name(self, name: str) -> str:
        """A step of this level as records have it: with its branch in front, with its round behind."""
        names = self.names
        branched = name if names.branch is None else f"{names.branch}/{name}"
        return branched if names.loop is None else f"{branched} [{names.loop.index}]"

    def context(self, step_name: str | None = None, **more: Any) -> dict[str, Any]:
        """What a function of the script's is told here (`ctx`)."""
        names = self.names
        found: dict[str, Any] = {
            "steps": {name: one.seen() for name, one in names.visible().items()},
            "input": names.input,
            "previous": names.previous,
            "shared": names.shared,
            "state": names.state,
            "workflow_id": self.run.id,
            "workflow_name": self.definition.name,
        }
        if step_name is not None:
            found["step_name"] = step_name
        if names.branches:
            found["branch_results"] = branches_of(names.branches)
        if names.branch is not None:
            found["branch"] = names.branch
        if names.loop is not None:
            found |= {
                "current_item": names.loop.item,
                "current_value": names.loop.item,
                "current_index": names.loop.index,
                "iteration": names.loop.index,
                "total_iterations": names.loop.total,
            }
        return {**found, **more}


RunFlow = Callable[[Definition, "Place", Names], Awaitable[FlowOutcome]]
"""Runs a workflow that is nested in the place; handed down, since steps know no workflows."""
