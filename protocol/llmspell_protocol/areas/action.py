"""What is declared about one action of our own requests. Rights, checks, schemas and tables are made from this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, dataclass_transform

from llmspell_protocol.rights import Capability


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


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Struct:
    """The fields of a content: a subclass is a dataclass with keyword arguments, and frozen for the type checker.

    One that is frozen at run time, with slots, takes four times as long to make, and an area has thirty.
    """

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"


class Empty(Struct):
    """An action without fields of its own."""


def buffer() -> Any:
    """A field of a reply that is bytes and travels as a buffer of the message, not in its content."""
    return field(metadata={"buffer": True})
