"""Workers for residency that need no process: they load when told to, crash when told to, and remember it all."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from llmspell_providers.residency.resident import Blueprint

MB = 1_000_000


@dataclass
class FakeLoaded:
    """What a fake worker says that it has loaded."""

    memory_bytes: int
    slots: int = 2
    device: str = "cpu"
    engine: str = "fake"
    speculation: str = "off"


class FakeWorker:
    """A loaded model without a process; its process id never exists, so that its own figure of memory counts."""

    def __init__(
        self,
        name: str,
        memory_bytes: int,
        slots: int,
        on_exit: Callable[[], None],
        device: str = "cpu",
        speculation: str = "off",
    ) -> None:
        self.name = name
        self.loaded = FakeLoaded(memory_bytes, slots, device, speculation=speculation)
        self.spare_bytes = 0
        """How much of its memory it gives back when it is asked to."""
        self.trims = 0
        self.pids = ((1 << 22) + os.getpid(),)
        self.ended = asyncio.Event()
        self.end_gate: asyncio.Event | None = None
        self._on_exit = on_exit

    async def end(self) -> None:
        """Ends as a process does: the exit is told while `end` waits for it. With `end_gate` not before that opens."""
        if self.end_gate is not None:
            await self.end_gate.wait()
        self.ended.set()
        self._on_exit()

    async def trim(self) -> None:
        """Gives back what is spare."""
        self.trims += 1
        self.loaded.memory_bytes -= self.spare_bytes
        self.spare_bytes = 0

    def crash(self) -> None:
        """Dies by itself."""
        self._on_exit()


@dataclass
class FakeEngine:
    """Starts fake workers; with `gate` a load waits until the gate is opened."""

    gate: asyncio.Event | None = None
    failures: list[Exception] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    workers: list[FakeWorker] = field(default_factory=list)
    learned: list[tuple[str, int]] = field(default_factory=list)
    """What models came to hold that was more than expected."""
    starting: asyncio.Event = field(default_factory=asyncio.Event)

    def blueprint(
        self,
        name: str,
        *,
        memory: int = 100 * MB,
        growth: int = 0,
        request: int = 0,
        slots: int = 2,
        device: str | None = None,
        speculation: str | None = None,
    ) -> Blueprint[FakeWorker]:
        """A model of this engine that takes `memory` bytes."""

        async def start(on_exit: Callable[[], None]) -> FakeWorker:
            self.started.append(name)
            self.starting.set()
            try:
                if self.gate is not None:
                    await self.gate.wait()
            except asyncio.CancelledError:
                self.given_up.append(name)
                raise
            if self.failures:
                raise self.failures.pop(0)
            worker = FakeWorker(name, memory, slots, on_exit, device or "cpu", speculation or "off")
            self.workers.append(worker)
            return worker

        return Blueprint(
            name=name,
            engine="fake",
            slots=slots,
            estimated_bytes=memory,
            growth_bytes=growth,
            request_bytes=request,
            mapped_bytes=0,
            start=start,
            device=device,
            speculation=speculation,
            learn=lambda held: self.learned.append((name, held)),
        )
