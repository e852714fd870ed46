"""What the debugger tells of itself to a frontend, in the words of the Debug Adapter Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.scripting.cell_paths import HASH_METHOD, HASH_SEED, PREFIX, SUFFIX

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

NAMING: Mapping[str, Any] = {
    "hashMethod": HASH_METHOD,
    "hashSeed": HASH_SEED,
    "tmpFilePrefix": PREFIX,
    "tmpFileSuffix": SUFFIX,
    "richRendering": True,
    "exceptionPaths": ["Lua Errors"],
    "copyToGlobals": True,
}
"""What `debugInfo` tells of every debugger here: how cells are named, and what frontends may ask for."""

EMPTY: Mapping[str, dict[str, Any]] = {
    "stackTrace": {"stackFrames": [], "totalFrames": 0},
    "scopes": {"scopes": []},
    "variables": {"variables": []},
    "inspectVariables": {"variables": []},
    "setBreakpoints": {"breakpoints": []},
}
"""The bodies of refusals: frontends look into them without asking whether it went well."""
FORWARDED = ("stackTrace", "exceptionInfo", "modules")
LOOKS = ("scopes", "setVariable", "setExpression", "evaluate")
STEPS = ("continue", "next", "stepIn", "stepOut")
