"""A state service of a file or of memory, with a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from llmspell_kernel.services.state.service import StateService
from llmspell_profiles.schema.settings import Settings

Body = Callable[[StateService], Awaitable[None]]


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class StateBench:
    """Runs bodies with a service of their own, one after the other on what the one before has left."""

    def __init__(self, path: Path | None, **values: Any) -> None:
        self.path = path
        self.clock = Clock()
        self.values = values

    def settings(self) -> Settings:
        """What is in force."""
        place = {"backend_type": "memory"} if self.path is None else {"backend_type": "sqlite", "path": str(self.path)}
        return Settings.check({"runtime": {"state_persistence": {**place, **self.values}}})

    def run(self, body: Body) -> None:
        """Makes a service, and closes it when the body has ended."""

        async def main() -> None:
            service = StateService(self.settings, self.clock)
            try:
                await body(service)
            finally:
                await service.close()

        asyncio.run(main())
