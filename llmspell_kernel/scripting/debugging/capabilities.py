"""What the debugger tells of itself to a frontend, in the words of the Debug Adapter Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FILTERS = ("raised", "uncaught")
"""What `setExceptionBreakpoints` knows."""

CAPABILITIES: Mapping[str, Any] = {
    "supportsConfigurationDoneRequest": True,
    "supportsConditionalBreakpoints": True,
    "supportsHitConditionalBreakpoints": True,
    "supportsLogPoints": True,
    "supportsEvaluateForHovers": True,
    "supportsClipboardContext": True,
    "supportsSetVariable": True,
    "supportsSetExpression": True,
    "supportsExceptionInfoRequest": True,
    "supportsDelayedStackTraceLoading": True,
    "supportsModulesRequest": True,
    "supportsTerminateRequest": True,
    "supportTerminateDebuggee": True,
    "exceptionBreakpointFilters": [
        {"filter": "raised", "label": "Raised errors", "default": False},
        {"filter": "uncaught", "label": "Uncaught errors", "default": True},
    ],
}
