"""The types of events that the kernel alone publishes: a reader of one of them is told of the kernel's own work.

Other types below the same prefixes (`system.status`, `workflow.audit.log`) are free: scripts have always used them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmspell_protocol.errors import Forbidden

NATIVE = "native"
"""The `language` of the kernel's own events."""

_ENDS = ("started", "completed", "failed")
OWN: Mapping[str, Sequence[str]] = {
    "system.": ("started", "stopping", "configuration_changed"),
    "state.": ("changed",),
    "hook.": ("executed",),
    "agent.": _ENDS,
    "tool.": _ENDS,
    "workflow.": _ENDS,
    "workflow.step.": (*_ENDS, "skipped", "retried", "cancelled", "compensated", "compensation_failed"),
    "workflow.branch.": ("started", "completed"),
    "workflow.iteration.": ("started", "completed"),
    "workflow.state.": ("updated",),
}
"""By prefix what the kernel publishes below it."""


def demand_free(event_type: str, language: str) -> None:
    """Raises `Forbidden` where a client's or script's event would pass for one of the kernel's own."""
    dot = event_type.rfind(".") + 1
    prefix, name = event_type[:dot], event_type[dot:]
    if name in OWN.get(prefix, ()):
        raise Forbidden(
            f"'{event_type}' is an event of the kernel's own, which nothing else publishes",
            hint=f"another name below '{prefix}' than {', '.join(OWN[prefix])}, or a prefix of your own",
            details={"event_type": event_type, "prefix": prefix, "reserved": [f"{prefix}{one}" for one in OWN[prefix]]},
        )
    if language == NATIVE:
        raise Forbidden(f"the language '{NATIVE}' is of the kernel's own events", details={"language": language})
