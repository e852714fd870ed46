"""The rights that a request can need. Which request needs which stands with the request."""

from __future__ import annotations

from typing import Literal

Capability = Literal["infer", "load", "pull", "execute", "admin"]
ALL_CAPABILITIES: frozenset[Capability] = frozenset({"infer", "load", "pull", "execute", "admin"})
SCRIPT_CAPABILITIES: frozenset[Capability] = frozenset({"infer", "load", "pull", "execute"})
"""What a script may ask for at most; never more than the client that started it."""
