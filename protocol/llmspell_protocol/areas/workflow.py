"""`workflow_request`: steps in order, side by side, by condition or in rounds; kept, executed, cancelled, resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct

Kind = Literal["sequential", "parallel", "conditional", "loop"]


class WorkflowCreate(Struct):
    """A workflow that is kept until its script, notebook or client ends; the newest of a name holds it."""

    definition: Mapping[str, Any]
    """`type`, `name`, steps and settings; functions of a script stand in it as `{"$fn": id}`"""


class WorkflowExecute(Struct):
    """One execution, of a workflow that is kept or of a definition."""

    workflow: str | None = None
    """an id or a name"""
    definition: Mapping[str, Any] | None = None
    input: Any = None
    shared: Mapping[str, Any] | None = None
    """shared data that are set before"""
    progress: bool = True


class WorkflowResume(Struct):
    """Goes on with an execution that was cut; a workflow with functions has to be given again."""

    execution_id: str
    """or its beginning, where it is the only one"""
    workflow: str | None = None
    progress: bool = True


class WorkflowNamed(Struct):
    """A workflow by its id or name; where executions are meant, one by its id or the beginning of it, too."""

    workflow: str


class WorkflowShare(Struct):
    """Shared data of a workflow that is kept; null takes a key away."""

    workflow: str
    values: Mapping[str, Any] = field(default_factory=dict)


class WorkflowExecution(Struct):
    """An execution by its id, or its beginning where it is the only one."""

    execution_id: str


class WorkflowSummary(Struct):
    """One workflow in a list."""

    id: str
    name: str
    type: Kind
    description: str
    step_count: int
    executions: int
    created_at: str


class WorkflowDetails(WorkflowSummary):
    """Everything about a workflow."""

    definition: Mapping[str, Any]
    shared: Mapping[str, Any]


class WorkflowRun(Struct):
    """An execution that runs, or that was cut and can be resumed."""

    execution_id: str
    workflow_id: str | None
    name: str
    type: Kind
    state: Literal["running", "cut"]
    started_at: str
    finished_steps: int | None = None
    """of one that was cut"""
    needs_script: bool = False
    """it has functions, so that only its script can resume it"""
    resumable: bool = False
    """it goes on by its id: it was cut, or has a checkpoint if it is cut now"""


class WorkflowReply(Struct):
    """One workflow."""

    workflow: WorkflowSummary


class WorkflowInfoReply(Struct):
    """One workflow with what it was made from."""

    workflow: WorkflowDetails


class WorkflowListReply(Struct):
    """The caller's workflows, oldest first, and executions of all clients with the same key."""

    workflows: Sequence[WorkflowSummary]
    count: int
    runs: Sequence[WorkflowRun]


class WorkflowExecuteReply(Struct):
    """How an execution ended. A workflow that failed is a result with `success` false, not an error."""

    workflow: WorkflowSummary
    execution_id: str
    result: Mapping[str, Any]


class WorkflowCancelReply(Struct):
    """The executions that were told to end."""

    cancelled: Sequence[WorkflowRun]
    count: int


class WorkflowDiscardReply(Struct):
    """The execution whose checkpoint is gone."""

    run: WorkflowRun


class WorkflowSharedReply(Struct):
    """The shared data of a workflow."""

    shared: Mapping[str, Any]


class WorkflowProgress(Struct):
    """Something happened at a place of the tree of steps; only those keys are there that belong to the event."""

    event: str
    """`workflow_started`, `step_completed`, `iteration_started`, …"""
    execution_id: str
    path: Sequence[str]
    workflow: str | None = None
    step: str | None = None
    type: str | None = None
    """of the step, or of the workflow"""
    branch: str | None = None
    iteration: int | None = None
    """from 0"""
    total: int | None = None
    """how many rounds there are to be"""
    success: bool | None = None
    duration_ms: float | None = None
    error: str | None = None
    code: str | None = None
    attempt: int | None = None
    """of `step_retried`, from 1"""
    state: Mapping[str, Any] | None = None
    """of `state_updated`: the loop's"""


_SUM = {
    "type": "sequential",
    "name": "sum",
    "steps": [{"name": "add", "tool": "calculator", "input": {"input": "2 + 3"}}],
}

ACTIONS: Mapping[str, Action] = {
    "create": Action(WorkflowCreate, WorkflowReply, right="execute", example={"definition": _SUM}),
    "execute": Action(
        WorkflowExecute,
        WorkflowExecuteReply,
        right="execute",
        example={"workflow": "sum"},
        progress=(WorkflowProgress,),
    ),
    "list": Action(Empty, WorkflowListReply, right="execute", example={}),
    "info": Action(WorkflowNamed, WorkflowInfoReply, right="execute", example={"workflow": "sum"}),
    "share": Action(
        WorkflowShare, WorkflowSharedReply, right="execute", example={"workflow": "sum", "values": {"limit": 3}}
    ),
    "delete": Action(WorkflowNamed, WorkflowReply, right="execute", example={"workflow": "sum"}),
    "cancel": Action(WorkflowNamed, WorkflowCancelReply, right="execute", example={"workflow": "sum"}, looks=True),
    "resume": Action(
        WorkflowResume,
        WorkflowExecuteReply,
        right="execute",
        example={"execution_id": "00000000-0000-0000-0000-000000000000"},
        progress=(WorkflowProgress,),
    ),
    "discard": Action(
        WorkflowExecution,
        WorkflowDiscardReply,
        right="execute",
        example={"execution_id": "00000000-0000-0000-0000-000000000000"},
    ),
}
