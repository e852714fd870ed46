"""The state of one loaded (or loading) model: its worker, queue, users, timer, and why it stays. Decides nothing.

`residency.py` decides; a `Resident` only knows about itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Literal, Protocol, TypeVar

from llmspell_protocol.background import of_no_request
from llmspell_protocol.durations import duration_text
from llmspell_providers.residency.memory import resident_bytes
from llmspell_providers.residency.queue import FairQueue

NEVER = -1.0
"""The keep-alive of a model that stays."""
_LONGEST_S = 100 * 365 * 86_400.0
"""Longer than a century means never too; infinity and what no calendar holds among it."""


class Loaded(Protocol):
    """What a worker says about the model that it has loaded."""

    @property
    def engine(self) -> str: ...

    @property
    def device(self) -> str: ...

    @property
    def speculation(self) -> str: ...

    @property
    def slots(self) -> int: ...

    @property
    def memory_bytes(self) -> int: ...


class Worker(Protocol):
    """What residency needs of a process with a loaded model."""

    @property
    def loaded(self) -> Loaded: ...

    @property
    def pids(self) -> Sequence[int]:
        """The process, and those that its engine runs beside it."""

    async def end(self) -> None:
        """Ends the process; it is gone afterwards."""

    async def trim(self) -> None:
        """Gives back what is kept for later turns and not needed for the running ones."""


W = TypeVar("W", bound=Worker)
W_co = TypeVar("W_co", bound=Worker, covariant=True)


@dataclass(frozen=True, slots=True)
class Blueprint(Generic[W_co]):
    """How a model is to be loaded, known before it is.

    `estimated_bytes` is what it takes right after the load, `growth_bytes` what it may take beyond that later (scratch
    memory, kept prompts), `request_bytes` what it may add for a request of this kind, `mapped_bytes` how much of it the
    system can get back at any time (weights mapped from a file). `device` is where it has to run, `speculation` how it
    has to draft; None: as it is, if it is loaded. `context_size` is what a slot will hold, in tokens, `context_reason`
    why, and `context_wish` whether one that is loaded with another context suits. `start` is given what to call when
    the worker ends, and is cancelled when no request waits for the model any more. `learn` is told what it came to
    hold, where that was more than expected.
    """

    name: str
    engine: str
    slots: int
    estimated_bytes: int
    growth_bytes: int
    mapped_bytes: int
    start: Callable[[Callable[[], None]], Awaitable[W_co]]
    device: str | None = None
    speculation: str | None = None
    context_size: int = 0
    context_reason: str = ""
    context_wish: Literal["any", "at_least", "exactly"] = "any"
    request_bytes: int = 0
    learn: Callable[[int], None] = lambda _: None

    @property
    def wish(self) -> str:
        """What it has to be loaded like, in words; empty where it does not matter."""
        words = [f"on {self.device}"] if self.device is not None else []
        words += [f"with speculation {self.speculation}"] if self.speculation is not None else []
        words += [f"with a context of {self.context_size} tokens"] if self.context_wish != "any" else []
        return " and ".join(words)

    @property
    def wished(self) -> str:
        """What a request would leave out to take the model as it is."""
        words = ["device"] if self.device is not None else []
        words += ["speculation"] if self.speculation is not None else []
        words += ["num_ctx"] if self.context_wish != "any" else []
        return " and ".join(words)

    def has_context(self, wanted: Blueprint[W_co]) -> bool:
        """Whether its context is what another blueprint wants."""
        if wanted.context_wish == "exactly":
            return self.context_size == wanted.context_size
        return wanted.context_wish == "any" or self.context_size >= wanted.context_size


class Resident(Generic[W]):
    """One model that is loaded, being loaded or being ended; belongs to one event loop."""

    def __init__(self, blueprint: Blueprint[W], *, keep_alive_s: float, max_queue: int) -> None:
        self.blueprint = blueprint
        self.request_bytes = blueprint.request_bytes
        """What room was made for beside the load and what all requests add; one of another kind raises it."""
        self.queue = FairQueue(slots=0, max_waiting=max_queue)
        self.keep_alive_s = keep_alive_s
        self.pinned = False
        self.worker: W | None = None
        self.load_ms: float | None = None
        self.load_began: float | None = None
        self.loading: asyncio.Task[None] | None = None
        self.loads_after: asyncio.Task[None] | None = None
        """The end of what it replaces, which holds memory till then."""
        self.reserved = False
        """Whether room was made for it: from then on its bytes are taken, loaded or not."""
        self.users = 0
        """Requests and loads that want it: waiting, loading or answering."""
        self.used = 0
        """Counts uses; the model with the smallest number was used longest ago."""
        self.last_used: datetime | None = None
        self.expires_at: datetime | None = None
        self.backs_off_s = 0.0
        self.ended_because: str | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.blueprint.name

    @property
    def device(self) -> str | None:
        """Where it runs, or what it is being loaded for; None: what the settings say."""
        return self.blueprint.device if self.worker is None else self.worker.loaded.device

    @property
    def speculation(self) -> str | None:
        """How it drafts, or is being loaded to; None: as the settings say."""
        return self.blueprint.speculation if self.worker is None else self.worker.loaded.speculation

    def load_part_ms(self, arrived: float) -> float:
        """How much of the waiting since `arrived` (the loop's time, in seconds) was this model being loaded."""
        if self.load_began is None or self.load_ms is None:
            return 0.0
        return max(0.0, self.load_ms - max(0.0, arrived - self.load_began) * 1000)

    def suits(self, wanted: Blueprint[W]) -> bool:
        """Whether it runs as is wanted, or is being loaded so."""
        return (
            wanted.device in (None, self.device)
            and wanted.speculation in (None, self.speculation)
            and self.blueprint.has_context(wanted)
        )

    @property
    def expected_bytes(self) -> int:
        """What it was expected to need, now and later."""
        return self.blueprint.estimated_bytes + self.blueprint.growth_bytes + self.request_bytes

    @property
    def surplus_bytes(self) -> int:
        """What it holds beyond that."""
        return max(0, self.memory_bytes - self.expected_bytes)

    @property
    def evictable(self) -> bool:
        """Whether it may be unloaded for another: loaded, idle and not pinned."""
        return self.worker is not None and not self.users and not self.pinned

    @property
    def memory_bytes(self) -> int:
        """What its processes hold now; 0 while there are none."""
        if self.worker is None:
            return 0
        held = sum(resident_bytes(pid) or 0 for pid in self.worker.pids)
        return held or self.worker.loaded.memory_bytes

    @property
    def budgeted_bytes(self) -> int:
        """What it counts against the budget: its memory or, if more, what it was expected to need."""
        if not self.reserved:
            return 0
        return max(self.memory_bytes, self.expected_bytes)

    def start_timer(self, expired: Callable[[], None]) -> None:
        """Starts the keep-alive of an idle model."""
        self.last_used = datetime.now(UTC)
        self.restart_timer(expired)

    def restart_timer(self, expired: Callable[[], None]) -> None:
        """Counts the keep-alive of an idle model from its last use: another one may hold by now."""
        self.stop_timer()
        if self.pinned or not 0 <= self.keep_alive_s <= _LONGEST_S:
            return
        now = datetime.now(UTC)
        # Never more than the whole time, should the clock have been set back.
        used_s = min(max(0.0, (now - (self.last_used or now)).total_seconds()), self.keep_alive_s)
        left_s = self.keep_alive_s - used_s
        self.expires_at = now + timedelta(seconds=left_s)
        self._timer = of_no_request(asyncio.get_running_loop().call_later, left_s, expired)

    def stop_timer(self) -> None:
        """The model is wanted, or goes."""
        self.expires_at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reason(self, *, next_to_go: bool) -> str:
        """Why the model stays and when it goes, in words."""
        if self.worker is None:
            if self.backs_off_s:
                return f"waits {self.backs_off_s:g} s before it is loaded again: its worker crashed repeatedly"
            return f"loading for {_requests(self.users)}"
        if self.users:
            waiting = f", {self.queue.waiting} waiting" if self.queue.waiting else ""
            return f"answers {_requests(self.queue.running)}{waiting}"
        if self.pinned:
            return "pinned: stays until it is unloaded"
        stays = "idle, stays until it is unloaded"
        if self.expires_at is not None:
            left_s = max(0.0, (self.expires_at - datetime.now(UTC)).total_seconds())
            stays = f"idle, unloads in {duration_text(left_s)}"
        return f"{stays}; the first to go if another model needs the memory" if next_to_go else stays


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"
