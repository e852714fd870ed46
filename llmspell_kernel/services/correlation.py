"""The id that ties together what comes of one request of a client's: its events, and the calls of hooks."""

from __future__ import annotations

from llmspell_kernel.request import Request


def correlation_of(request: Request) -> str:
    """A UUID, the same for everything that comes of one request at the root."""
    # Only who is listened to, or hooked, needs one.
    from uuid import UUID, uuid5

    root = request
    while root.parent is not None:
        root = root.parent
    return str(uuid5(UUID(int=0), f"{root.caller.client}\0{root.id}"))


def new_id() -> str:
    """A UUID of its own."""
    from uuid import uuid4

    return str(uuid4())
