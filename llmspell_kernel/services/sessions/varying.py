"""What is another in each answer and says nothing about it: times, counts of tokens, ids that are made anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ALWAYS = frozenset({"seq", "timings", "duration_ms", "execution_time_ms", "usage", "correlation_id"})
_OF_WORKFLOWS = _ALWAYS | {"execution_id", "execution_time", "step_timings", "workflow_id", "created_at", "executions"}


def without_what_varies(content: Any, msg_type: str) -> Any:
    """A reply's content of this kind of request without it."""
    if msg_type != "workflow_request" or not isinstance(content, Mapping):
        return _without(content, _ALWAYS)
    found = _without(content, _OF_WORKFLOWS)
    workflow = found.get("workflow")
    if isinstance(workflow, dict):
        workflow.pop("id", None)
    return found


def _without(value: Any, varying: frozenset[str]) -> Any:
    if isinstance(value, Mapping):
        found = {key: _without(one, varying) for key, one in value.items() if key not in varying}
        if "step_results" in found:
            found.pop("text", None)  # A workflow's result in a sentence, with how long it took.
        return found
    if isinstance(value, (list, tuple)):
        return [_without(one, varying) for one in value]
    return value
