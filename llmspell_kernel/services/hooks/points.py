"""The points at which hooks are called, those that no kernel reaches, and the priorities of hooks."""

from __future__ import annotations

import difflib

from llmspell_protocol.errors import InvalidRequest, Unsupported

SYSTEM_POINTS = frozenset({"SystemStartup", "SystemShutdown", "ConfigurationChange"})
"""Points of the kernel itself: they belong to no request, and every hook that was registered there is called."""

POINTS = (
    *("SystemStartup", "SystemShutdown", "ConfigurationChange", "ResourceLimitExceeded", "SecurityViolation"),
    *("BeforeAgentInit", "AfterAgentInit", "BeforeAgentExecution", "AfterAgentExecution", "AgentError"),
    *("BeforeAgentShutdown", "AfterAgentShutdown"),
    *("BeforeToolDiscovery", "AfterToolDiscovery", "BeforeToolExecution", "AfterToolExecution"),
    *("ToolValidation", "ToolError"),
    *("BeforeModelExecution", "AfterModelExecution", "ModelError"),
    *("BeforeWorkflowStart", "WorkflowStageTransition", "BeforeWorkflowStage", "AfterWorkflowStage"),
    *("WorkflowCheckpoint", "WorkflowRollback", "AfterWorkflowComplete", "WorkflowError"),
    *("BeforeStateRead", "AfterStateRead", "BeforeStateWrite", "AfterStateWrite", "StateConflict", "StateMigration"),
    *("SessionStart", "SessionEnd", "SessionCheckpoint", "SessionRestore", "SessionSave"),
    *("BeforeEventEmit", "AfterEventEmit", "EventHandlerError"),
)
"""In the order in which they are to be read."""

CUSTOM = "custom:"
"""What the points of scripts' own begin with; `Hook.fire` reaches them."""

_NEVER = {
    "PerformanceThresholdExceeded": "there is no threshold that work is measured against",
    "MemoryUsageHigh": "nothing watches the machine's memory; ResourceLimitExceeded tells of limits that were reached",
    "CpuUsageHigh": "nothing watches the machine's processors",
}
"""Names of points that would never be reached, and why."""

PRIORITIES = {"highest": -1000, "high": -100, "normal": 0, "low": 100, "lowest": 1000}
"""Lower runs first."""


def demand_point(point: str) -> str:
    """The point as hooks are registered at.

    Raises:
        InvalidRequest: there is none of this name.
        Unsupported: there is, but this kernel never reaches it.
    """
    if point in POINTS or (point.startswith(CUSTOM) and len(point) > len(CUSTOM)):
        return point
    if point in _NEVER:
        raise Unsupported(f"Hook point {point} is never reached: {_NEVER[point]}", details={"point": point})
    near = difflib.get_close_matches(point, POINTS, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "a point of your own begins with 'custom:'"
    raise InvalidRequest(f"Unknown hook point: {point:.100}", hint=hint, details={"point": point[:100]})


def demand_priority(priority: str) -> str:
    """Raises `InvalidRequest` where there is no such priority."""
    if priority not in PRIORITIES:
        raise InvalidRequest(f"priority must be one of {', '.join(PRIORITIES)}, not '{priority:.40}'")
    return priority
