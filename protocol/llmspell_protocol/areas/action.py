"""What is declared about one action of our own requests. Rights, checks, schemas and tables are made from this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from llmspell_protocol.rights import Capability
from llmspell_protocol.structs import Struct


class Action(NamedTuple):
    """One action of an area: `<area>_request {"action": NAME, …}`.

    A reply has `status: "ok"` beside its fields, and progress, deltas and reply
    have `seq`; none of these stands in the classes.
    """

    request: type
    """The fields beside `action`; a request without any is `Empty`."""
    reply: type
    right: Capability | None
    """What the caller must be allowed; None: anyone may ask."""
    example: Mapping[str, Any]
    """Fields of a request that a kernel with the mock backend answers, asked in the order of the area."""
    looks: bool = False
    """It only looks or steers: a kernel that drains, or has too many clients, answers it all the same."""
    progress: Sequence[type] = ()
    """What may come as `<area>_progress`."""
    delta: type | None = None
    """What may come as `<area>_delta`."""
    from_scripts: bool = False
    """Only a script can ask it: for itself, or naming a function of its own."""

    @property
    def is_turn(self) -> bool:
        """It does what takes a while and tells how far it is: what a session records of a client's requests."""
        return self.right in ("infer", "execute") and (bool(self.progress) or self.delta is not None)


class Empty(Struct):
    """An action without fields of its own."""


def buffer() -> Any:
    """A field of a reply that is bytes and travels as a buffer of the message, not in its content."""
    return field(metadata={"buffer": True})
