"""Workflows by owner and name, and the executions that run: made, executed, cancelled, resumed.

A workflow belongs to an owner, a script context or a client, and ends with it; owners don't see each other's. Within
an owner the newest of a name holds the name. Executions are known to all clients with the key of the one that began.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmspell_kernel.request import Request
from llmspell_kernel.scripting.contexts import Contexts, ScriptFunction
from llmspell_kernel.services.tools.callers import owner_of
from llmspell_kernel.services.workflows.checkpoints import Checkpoints, can_compensate
from llmspell_kernel.services.workflows.expressions import Expressions
from llmspell_kernel.services.workflows.flows import run_top
from llmspell_kernel.services.workflows.functions import Functions
from llmspell_kernel.services.workflows.journal import Journal, NoJournal
from llmspell_kernel.services.workflows.kept import Kept, Running, only_one, shown_cut
from llmspell_kernel.services.workflows.names import Names
from llmspell_kernel.services.workflows.outcomes import FlowOutcome
from llmspell_kernel.services.workflows.parsing import parse
from llmspell_kernel.services.workflows.results import result_of
from llmspell_kernel.services.workflows.run import Around, Run
from llmspell_kernel.services.workflows.watching import Watching
from llmspell_kernel.times import now_text
from llmspell_protocol.areas.workflow import WorkflowRun
from llmspell_protocol.errors import Busy, Forbidden, InvalidRequest, NotFound

if TYPE_CHECKING:
    from llmspell_kernel.services.agents.runs import AgentRuns
    from llmspell_kernel.services.agents.service import AgentsService
    from llmspell_kernel.services.events.service import EventsService
    from llmspell_kernel.services.hooks.service import HooksService
    from llmspell_kernel.services.tools.service import ToolsService
    from llmspell_kernel.services.workflows.run import Entries

MAX_PER_OWNER = 1000


class WorkflowsService:
    """All workflows of a kernel; belongs to the loop."""

    def __init__(
        self,
        *,
        contexts: Contexts,
        tools: Callable[[], ToolsService],
        agents: AgentsService,
        agent_runs: AgentRuns,
        entries: Entries,
        events: EventsService,
        hooks: HooksService,
        home: Path,
    ) -> None:
        self._contexts = contexts
        self._tools = tools
        self._agents = agents
        self._agent_runs = agent_runs
        self._entries = entries
        self._events = events
        self._hooks = hooks
        self._checkpoints = Checkpoints(home)
        self._kept: dict[str, dict[str, Kept]] = {}
        self._running: dict[str, Running] = {}

    # Workflows

    def create(self, request: Request, raw: Mapping[str, Any]) -> Kept:
        """A workflow that is kept until its owner ends.

        Raises:
            InvalidRequest: the definition makes no sense.
            Busy: the owner has `MAX_PER_OWNER` already.
        """
        owner = owner_of(request.caller)
        own = self._kept.setdefault(owner, {})
        if len(own) >= MAX_PER_OWNER:
            raise Busy(
                f"There are {len(own)} workflows already",
                hint="remove workflows that are no longer needed (Workflow.remove), or make one and execute it again",
                details={"limit": MAX_PER_OWNER},
            )
        made = self._made(request, raw)
        own[made.id] = made
        return made

    def find(self, request: Request, name: str) -> Kept:
        """The caller's workflow with this id, else the newest of this name.

        Raises:
            NotFound: there is none.
        """
        own = self._kept.get(owner_of(request.caller), {})
        found = own.get(name) or next((one for one in reversed(own.values()) if one.definition.name == name), None)
        if found is None:
            raise NotFound(
                f"Workflow '{name}' not found",
                hint="workflows end with the script, notebook or client that made them",
                details={"workflow": name},
            )
        return found

    def list(self, request: Request) -> Sequence[Kept]:
        """The caller's workflows, oldest first."""
        return tuple(self._kept.get(owner_of(request.caller), {}).values())

    def delete(self, request: Request, name: str) -> Kept:
        """Takes a workflow away; executions under way go on. Raises as `find`."""
        found = self.find(request, name)
        del self._kept[found.owner][found.id]
        self._release_unused(found)
        return found

    # Executions

    async def execute(
        self, request: Request, workflow: Kept, given: Any, *, progress: bool, shared: Mapping[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Runs a workflow; the execution's id and its result. A failure is a result, too.

        Raises:
            Cancelled: it was cancelled.
            StorageError, DiskFull, …: its checkpoint can't be written.
        """
        workflow.shared.update(shared or {})
        id = str(uuid.uuid4())
        journal: Journal = NoJournal()
        definition = workflow.definition
        if given is None:
            given = definition.input
        with self._under_way(id, request, workflow) as running:
            if definition.checkpoint and request.answers is None:  # A replay leaves nothing to be gone on with.
                journal = await self._checkpoints.begin(
                    id,
                    key_id=request.caller.key_id,
                    raw=workflow.raw,
                    has_functions=bool(workflow.functions),
                    name=definition.name,
                    input=given,
                    shared=workflow.shared,
                )
            return await self._run(running, given, journal, progress=progress)

    async def resume(
        self, request: Request, id: str, workflow: Kept | None, *, progress: bool
    ) -> tuple[str, Kept, dict[str, Any]]:
        """Goes on with an execution that was cut, after its last finished step. As `execute`.

        Raises:
            NotFound: no such execution was cut.
            InvalidRequest: the workflow has functions, and is not given; or it is another than the one that was cut.
            Busy: it still runs.
        """
        id = await self._meant(request, id)
        journal = await self._checkpoints.resume(id, key_id=request.caller.key_id)
        try:
            checkpoint = journal.checkpoint
            if workflow is None:
                if checkpoint.has_functions:
                    raise InvalidRequest(
                        f"workflow '{checkpoint.name}' has functions, which only its script can bring again",
                        hint="build it again in a script, and call Workflow.resume(id, workflow)",
                        details={"execution_id": id},
                    )
                workflow = self._made(request, checkpoint.raw)
            else:
                checkpoint.demand_same(workflow.raw)
            workflow.shared.clear()
            workflow.shared.update(checkpoint.shared)
        except BaseException:
            journal.leave()
            raise
        with self._under_way(id, request, workflow) as running:
            id, result = await self._run(running, checkpoint.input, journal, progress=progress)
        return id, workflow, result

    def made_for_once(self, request: Request, raw: Mapping[str, Any]) -> Kept:
        """A workflow that is executed and not kept. Raises as `create`."""
        return self._made(request, raw)

    def cancel(self, request: Request, name: str) -> Sequence[WorkflowRun]:
        """Cancels executions: the one with this id, else all of the workflow with this id or name, else the one whose
        id begins so.

        Raises:
            NotFound: none runs.
            InvalidRequest: the ids of several begin so.
        """
        own = [one for one in self._running.values() if one.key_id == request.caller.key_id]
        found = [one for one in own if name == one.execution_id]
        found = found or [one for one in own if name in (one.workflow.id, one.workflow.definition.name)]
        if not found:
            begun = only_one(name, [one.execution_id for one in own])
            found = [one for one in own if one.execution_id == begun]
        if not found:
            raise NotFound(
                f"no workflow '{name}' is running", hint="llmspell workflow list", details={"workflow": name}
            )
        for one in found:
            one.request.cancel("the workflow was cancelled")
        return [one.shown() for one in found]

    async def runs(self, request: Request) -> Sequence[WorkflowRun]:
        """Executions of the caller's key: those that run, and those that were cut and can be resumed."""
        key_id = request.caller.key_id
        running = [one.shown() for one in self._running.values() if one.key_id == key_id]
        here = {one.execution_id for one in running}
        cut = await self._checkpoints.list(key_id)
        return [*running, *(shown_cut(one) for one in cut if one.id not in here)]

    async def discard(self, request: Request, id: str) -> WorkflowRun:
        """Removes the checkpoint of an execution that was cut. Raises as `resume`."""
        id = await self._meant(request, id)
        return shown_cut(await self._checkpoints.discard(id, key_id=request.caller.key_id))

    def forget(self, owner: str) -> None:
        """An owner has ended: its functions have, too."""
        self._kept.pop(owner, None)

    async def close(self) -> None:
        """Closes the database of checkpoints."""
        await self._checkpoints.close()

    # Inside

    async def _meant(self, request: Request, named: str) -> str:
        """The execution with a checkpoint that has this id, or whose id alone begins so; else what was named.

        Raises:
            InvalidRequest: several begin so.
        """
        ids = await self._checkpoints.ids(named, key_id=request.caller.key_id)
        return only_one(named, ids) or named

    def _made(self, request: Request, raw: Mapping[str, Any]) -> Kept:
        functions: list[ScriptFunction] = []

        def function_of(value: Mapping[str, Any]) -> ScriptFunction:
            functions.append(self._contexts.function(request, value))
            return functions[-1]

        definition = parse(raw, function_of)
        return Kept(
            id=f"workflow_{uuid.uuid4()}",
            owner=owner_of(request.caller),
            raw=raw,
            definition=definition,
            functions=functions,
            created_at=now_text(),
            shared=dict(definition.shared),
        )

    @contextmanager
    def _under_way(self, id: str, request: Request, workflow: Kept) -> Iterator[Running]:
        """An execution, from before its first await to its end; what it alone has used is released with it."""
        running = self._running[id] = Running(
            execution_id=id,
            workflow=workflow,
            request=request,
            key_id=request.caller.key_id,
            started_at=now_text(),
            used={workflow},
        )
        workflow.executions += 1
        try:
            yield running
        finally:
            del self._running[id]
            for used in running.used:
                self._release_unused(used)

    async def _run(
        self, running: Running, given: Any, journal: Journal, *, progress: bool
    ) -> tuple[str, dict[str, Any]]:
        id, request, workflow = running.execution_id, running.request, running.workflow

        def found(name: str) -> Kept:
            kept = self.find(request, name)
            running.used.add(kept)
            return kept

        run = Run(
            id,
            request,
            Around(
                tools=self._tools(),
                agents=self._agents,
                agent_runs=self._agent_runs,
                entries=self._entries,
                find_workflow=found,
            ),
            functions=Functions(self._contexts),
            expressions=Expressions(self._contexts, request),
            journal=journal,
            watching=Watching(request, id, workflow.definition.name, self._events, self._hooks, progress=progress),
        )
        try:
            outcome = await run_top(workflow.definition, run, Names(input=given, shared=workflow.shared))
            resumable = journal.is_kept and _may_go_on(outcome)
            if not resumable:
                await journal.end()
        finally:
            journal.leave()
            await run.close()
        result = result_of(outcome, id, agent_outputs=run.agent_outputs, warnings=run.all_warnings())
        return id, {**result, "resumable": True} if resumable else result

    def _release_unused(self, workflow: Kept) -> None:
        """Has the script forget the functions of a workflow that is neither kept nor run by any execution."""
        is_kept = self._kept.get(workflow.owner, {}).get(workflow.id) is workflow
        if is_kept or any(workflow in running.used for running in self._running.values()):
            return
        for function in workflow.functions:
            self._contexts.release(function)


def _may_go_on(outcome: FlowOutcome) -> bool:
    """Whether it failed for want of a permission, with nothing undone: who grants it may have it go on."""
    refused = outcome.problem is not None and outcome.problem.code == Forbidden.code
    return refused and not outcome.success and not can_compensate(outcome.definition)
