"""One event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. `key_id` is the key whose clients may see it; None: it is the kernel's own, and all may.

    `sequence` counts the events of a kernel: those of one publisher come in its order. `expires` is of the loop's
    clock, in seconds.
    """

    id: str
    event_type: str
    data: Any
    timestamp: str
    sequence: int
    correlation_id: str
    language: str
    key_id: str | None
    component: str = ""
    ttl_s: float | None = None
    expires: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    target_language: str | None = None
    size: int
    """about the bytes that it takes in memory"""

    def as_content(self) -> dict[str, Any]:
        """The event as readers get it."""
        content: dict[str, Any] = {
            "id": self.id,
            "event_type": self.event_type,
            "data": self.data,
            "timestamp": self.timestamp,
            "sequence": self.sequence,
            "correlation_id": self.correlation_id,
            "language": self.language,
            "metadata": dict(self.metadata),
            "serialization_version": "1.0",
        }
        if self.ttl_s is not None:
            content["ttl"] = self.ttl_s
        if self.target_language is not None:
            content["target_language"] = self.target_language
        return content
