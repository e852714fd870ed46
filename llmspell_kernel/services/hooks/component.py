"""What the work at a hook's point is about."""

from __future__ import annotations

from typing import NamedTuple


class Component(NamedTuple):
    """What the work at a point is about."""

    type: str
    """`agent`, `tool`, `model`, `workflow`, `state`, `session`, `event`, `system` or `custom`."""
    name: str
