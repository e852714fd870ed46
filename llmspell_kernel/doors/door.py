"""What every door offers: requests come in through it, answers leave by the sinks that it gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from llmspell_kernel.clients import Connected
from llmspell_kernel.request import Submit


class Door(Protocol):
    """One way into a kernel. It resolves who asks, and knows no handler; made by what starts the kernel.

    Messages become requests with a `Caller` of `identity.py` and a `Sink` of the door's own.
    """

    @property
    def dropped(self) -> Mapping[str, int]:
        """How many messages were dropped, by reason."""

    def open(self, submit: Submit, clients: Connected) -> None:
        """Starts taking requests; tells `clients` who comes and goes. Called once, on the kernel's loop."""

    async def all_taken(self, patience_s: float) -> None:
        """Waits until slow clients have taken their replies, or take nothing for so long."""

    def close(self) -> None:
        """Takes and sends nothing more."""
