"""A workflow that is kept, an execution that runs, and how lists show them and those that were cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.services.workflows.checkpoints import Checkpoint
from llmspell_kernel.services.workflows.definition import KINDS, Definition
from llmspell_protocol.areas.workflow import WorkflowDetails, WorkflowRun, WorkflowSummary
from llmspell_protocol.errors import InvalidRequest


@dataclass(slots=True, eq=False, kw_only=True)
class Kept:
    """A workflow that is kept; belongs to the loop."""

    id: str
    owner: str
    raw: Mapping[str, Any]
    definition: Definition
    functions: Sequence[ScriptFunction]
    created_at: str
    shared: dict[str, Any] = field(default_factory=dict)
    executions: int = 0

    def summary(self) -> WorkflowSummary:
        """What lists and replies show of it."""
        return WorkflowSummary(**self._summary())

    def details(self) -> WorkflowDetails:
        """The same with what it was made from."""
        return WorkflowDetails(**self._summary(), definition=self.raw, shared=dict(self.shared))

    def _summary(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.definition.name,
            "type": self.definition.kind,
            "description": self.definition.description,
            "step_count": self.definition.step_count,
            "executions": self.executions,
            "created_at": self.created_at,
        }


@dataclass(slots=True, eq=False, kw_only=True)
class Running:
    """An execution that runs; belongs to the loop."""

    execution_id: str
    workflow: Kept
    request: Request
    key_id: str
    started_at: str
    used: set[Kept]
    """The workflow and those that have run in it: their functions stay until it ends."""

    def shown(self) -> WorkflowRun:
        """What lists show of it."""
        return WorkflowRun(
            execution_id=self.execution_id,
            workflow_id=self.workflow.id,
            name=self.workflow.definition.name,
            type=self.workflow.definition.kind,
            state="running",
            started_at=self.started_at,
            resumable=self.workflow.definition.checkpoint and not self.workflow.functions,
        )


def shown_cut(one: Checkpoint) -> WorkflowRun:
    """What lists show of an execution that was cut."""
    return WorkflowRun(
        execution_id=one.id,
        workflow_id=None,
        name=one.name,
        type=next((kind for kind in KINDS if kind == one.raw.get("type")), "sequential"),
        state="cut",
        started_at=one.started_at,
        finished_steps=one.finished_steps,
        needs_script=one.has_functions,
        resumable=not one.has_functions,
    )


def only_one(named: str, ids: Sequence[str]) -> str | None:
    """The id that was named by its whole or by its beginning; None where there is none.

    Raises:
        InvalidRequest: several begin so.
    """
    if named in ids:
        return named
    meant = sorted(id for id in ids if named and id.startswith(named))
    if len(meant) > 1:
        raise InvalidRequest(
            f"several workflow executions have an id that begins with '{named}': {', '.join(meant)}",
            hint="give more of it",
            details={"execution_id": named, "executions": meant},
        )
    return meant[0] if meant else None
