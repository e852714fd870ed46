"""Keeps the models pinned that the settings name, beside everything else; what fails there is logged by the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmspell_kernel.services.models import ModelsService


class Pins:
    """The changes of pins that are under way; belongs to the loop. `models` is asked for when there is one."""

    def __init__(self, models: Callable[[], ModelsService]) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._models = models

    def change(self, before: Sequence[str], now: Sequence[str]) -> None:
        """Begins to pin and load what is new, and to unpin what is no longer named."""
        added, dropped = [one for one in now if one not in before], [one for one in before if one not in now]
        if added or dropped:
            task = asyncio.get_running_loop().create_task(self._models().change_pins(added, dropped))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    def cancel(self) -> None:
        """Cancels what is under way."""
        for task in self.tasks:
            task.cancel()
