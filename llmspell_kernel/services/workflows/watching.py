"""What an execution tells while it runs: progress to the one who asked, events, and hooks at its points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_kernel.services.hooks.component import Component

if TYPE_CHECKING:
    from llmspell_kernel.request import Request
    from llmspell_kernel.services.events.service import EventsService
    from llmspell_kernel.services.hooks.service import HooksService
    from llmspell_kernel.services.hooks.verdict import Verdict

_KINDS = ("workflow", "step", "iteration", "branch", "state")


class Watching:
    """Progress, events and hooks of one execution; `name` is the workflow's."""

    def __init__(
        self,
        request: Request,
        id: str,
        name: str,
        events: EventsService,
        hooks: HooksService,
        *,
        progress: bool,
    ) -> None:
        self._request = request
        self._id = id
        self._component = Component("workflow", name)
        self._events = events
        self._hooks = hooks
        self._progress = progress

    def tell(self, event: str, path: Sequence[str], **data: Any) -> None:
        """Something has happened at a place of the tree: `workflow_started`, `step_failed`, …

        The one who asked has it as progress; as an event it is `workflow.started`, `workflow.step.failed`, ….
        """
        if self._progress:
            self._request.progress({"event": event, "execution_id": self._id, "path": list(path), **data})
        kind, _, what = event.partition("_")
        assert kind in _KINDS
        name = f"workflow.{what}" if kind == "workflow" else f"workflow.{kind}.{what}"
        about = {"component_name": data.get("workflow", self._component.name), "execution_id": self._id}
        self._events.publish(
            name, {**about, "path": list(path), **data}, request=self._request, component=self._component.name
        )

    async def ask(self, point: str, path: Sequence[str], data: Mapping[str, Any]) -> Verdict:
        """What the hooks of a point say about work that is about to be done.

        Raises:
            Forbidden: one has cancelled it.
        """
        verdict = await self._hooks.run(
            point, self._request, component=self._component, data=self._about(path, data), check=_check
        )
        verdict.demand_not_cancelled(point)
        return verdict

    async def note(self, point: str, path: Sequence[str], data: Mapping[str, Any]) -> None:
        """Has the hooks of a point called about what is done already: what they say changes nothing."""
        if self._hooks.registered(point, self._request):
            await self._hooks.run(point, self._request, component=self._component, data=self._about(path, data))

    def _about(self, path: Sequence[str], data: Mapping[str, Any]) -> dict[str, Any]:
        return {"workflow_id": self._id, "path": list(path), **data}


def _check(said: Verdict) -> None:
    """Raises `InvalidRequest` where a workflow can do nothing with what a hook gave."""
    # Only where a hook was called.
    from llmspell_kernel.services.hooks.given import demand_data

    if said.kind == "modified":
        demand_data(said.data.get("input"), "input")
    elif said.kind == "replace":
        demand_data(said.value, "data")
