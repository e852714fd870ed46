"""`workflow_request`: one method an action, translated for the workflows service."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.request import Request
from llmspell_kernel.services.workflows.kept import Kept
from llmspell_kernel.services.workflows.service import WorkflowsService
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.workflow import (
    WorkflowCancelReply,
    WorkflowCreate,
    WorkflowDiscardReply,
    WorkflowExecute,
    WorkflowExecuteReply,
    WorkflowExecution,
    WorkflowInfoReply,
    WorkflowListReply,
    WorkflowNamed,
    WorkflowReply,
    WorkflowResume,
    WorkflowShare,
    WorkflowSharedReply,
)
from llmspell_protocol.errors import InvalidRequest


class WorkflowHandler(AreaHandler):
    """Answers `workflow_request`."""

    def __init__(self, workflows: WorkflowsService) -> None:
        self._workflows = workflows

    async def create(self, request: Request, wanted: WorkflowCreate) -> WorkflowReply:
        """A workflow that is kept."""
        return WorkflowReply(workflow=self._workflows.create(request, wanted.definition).summary())

    async def execute(self, request: Request, wanted: WorkflowExecute) -> WorkflowExecuteReply:
        """One execution."""
        if (wanted.workflow is None) == (wanted.definition is None):
            raise InvalidRequest("an execution needs a workflow or a definition, and not both")
        if wanted.workflow is not None:
            workflow = self._workflows.find(request, wanted.workflow)
        else:
            workflow = self._workflows.made_for_once(request, wanted.definition or {})
        id, result = await self._workflows.execute(
            request, workflow, wanted.input, progress=wanted.progress, shared=wanted.shared
        )
        return _executed(workflow, id, result)

    async def resume(self, request: Request, wanted: WorkflowResume) -> WorkflowExecuteReply:
        """Goes on with one that was cut."""
        known = None if wanted.workflow is None else self._workflows.find(request, wanted.workflow)
        id, workflow, result = await self._workflows.resume(
            request, wanted.execution_id, known, progress=wanted.progress
        )
        return _executed(workflow, id, result)

    async def list(self, request: Request, wanted: Empty) -> WorkflowListReply:
        """The caller's workflows, and executions of its key."""
        workflows = [one.summary() for one in self._workflows.list(request)]
        return WorkflowListReply(workflows=workflows, count=len(workflows), runs=await self._workflows.runs(request))

    async def info(self, request: Request, wanted: WorkflowNamed) -> WorkflowInfoReply:
        """One workflow with its definition."""
        return WorkflowInfoReply(workflow=self._workflows.find(request, wanted.workflow).details())

    async def share(self, request: Request, wanted: WorkflowShare) -> WorkflowSharedReply:
        """Changes shared data."""
        shared = self._workflows.find(request, wanted.workflow).shared
        for key, value in wanted.values.items():
            if value is None:
                shared.pop(key, None)
            else:
                shared[key] = value
        return WorkflowSharedReply(shared=dict(shared))

    async def delete(self, request: Request, wanted: WorkflowNamed) -> WorkflowReply:
        """Takes a workflow away."""
        return WorkflowReply(workflow=self._workflows.delete(request, wanted.workflow).summary())

    async def cancel(self, request: Request, wanted: WorkflowNamed) -> WorkflowCancelReply:
        """Ends executions."""
        cancelled = self._workflows.cancel(request, wanted.workflow)
        return WorkflowCancelReply(cancelled=cancelled, count=len(cancelled))

    async def discard(self, request: Request, wanted: WorkflowExecution) -> WorkflowDiscardReply:
        """Removes a checkpoint."""
        return WorkflowDiscardReply(run=await self._workflows.discard(request, wanted.execution_id))


def _executed(workflow: Kept, id: str, result: dict[str, Any]) -> WorkflowExecuteReply:
    return WorkflowExecuteReply(workflow=workflow.summary(), execution_id=id, result=result)
