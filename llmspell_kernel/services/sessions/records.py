"""What the loop hands to the database's thread of a request: that it has begun, and how it ended. Knows no tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

PART = "part"
"""Among a step's options: it is part of the request above it, and no request of its own; `step` beside it names the
workflow's step that it is."""


class Target(NamedTuple):
    """Which session: that of `id`, or (`id` None) the one that `ref` means, which begins if there is none.

    `name` and `kind` are what a new one gets.
    """

    key_id: str
    id: str | None
    ref: str | None = None
    name: str = ""
    kind: str = "other"


class Opened(NamedTuple):
    """A session begins, whose id is known."""

    target: Target


class Begun(NamedTuple):
    """A request is about to be handled; `started_at` is seconds since 1970."""

    target: Target
    step: str
    parent: str | None
    msg_type: str
    action: str
    content: Mapping[str, Any]
    options: Mapping[str, Any]
    started_at: float


class Ended(NamedTuple):
    """Its reply, binary buffers and, of a script, what it has printed last."""

    target: Target
    step: str
    content: Mapping[str, Any]
    buffers: Sequence[bytes]
    printed: Mapping[str, str]
    duration_ms: float


class Closed(NamedTuple):
    """Nothing more comes: the session has the status of its last step."""

    target: Target


class Rested(NamedTuple):
    """A client that has named the session is gone: it is suspended, and goes on when it is named again."""

    target: Target


class Dropped(NamedTuple):
    """So many steps were not recorded, since the database was slower than they came."""

    target: Target
    steps: int


Entry = Opened | Begun | Ended | Closed | Rested | Dropped
