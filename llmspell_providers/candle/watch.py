"""A worker at work, looked at twice a second: whether it has grown too large, and whether a load still gets on.

Its own limit (`worker_memory`) ends most of what grows; this look is for systems and drivers that know no such limit,
and for loads that read nothing any more. A worker without pending requests is not looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from llmspell_protocol.background import of_no_request
from llmspell_providers.residency.memory import read_bytes, resident_bytes

LOOK_S = 0.5
SILENT_LOAD_S = 120.0
"""How long a load on a processor may neither read nor take memory: templates, tables and a first token take a second
each; what takes memory without an end meets its limit."""
_MOVED_BYTES = 1 << 16

Fault = Literal["too_large", "silent"]


class Watch:
    """Looks at the processes of one worker while it has work; belongs to a loop. `found` is told of a fault, once.

    `limit_bytes` is of resident memory, all processes together; None: no limit.
    """

    def __init__(
        self,
        pids: Callable[[], Sequence[int]],
        *,
        limit_bytes: int | None,
        found: Callable[[Fault], None],
    ) -> None:
        self._pids = pids
        self._limit_bytes = limit_bytes
        self._found = found
        self._work = 0
        self._loading = False
        self._seen_bytes = 0
        self._moved_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Some work has begun."""
        self._work += 1
        if self._timer is None:
            self._set()

    def end(self) -> None:
        """Some work has ended."""
        self._work = max(0, self._work - 1)
        if not self._work:
            self.stop()

    def load_begins(self) -> None:
        """From here on what the processes read and take is looked at too, until `load_ends`."""
        self._loading = True
        self._moved_at = asyncio.get_running_loop().time()

    def load_ends(self) -> None:
        """The model is loaded, or its load can't be judged by what it reads: a graphics card compiles first."""
        self._loading = False

    def stop(self) -> None:
        """Nothing is looked at until work begins again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self) -> None:
        self._timer = of_no_request(asyncio.get_running_loop().call_later, LOOK_S, self._look)

    def _look(self) -> None:
        pids = self._pids()
        held = sum(resident_bytes(pid) or 0 for pid in pids)
        self._set()
        if self._limit_bytes is not None and held > self._limit_bytes:
            self._tell("too_large")
        elif self._loading and self._is_silent(held + sum(read_bytes(pid) for pid in pids)):
            self._tell("silent")

    def _is_silent(self, moved: int) -> bool:
        now = asyncio.get_running_loop().time()
        if abs(moved - self._seen_bytes) >= _MOVED_BYTES:
            self._seen_bytes, self._moved_at = moved, now
        return now - self._moved_at >= SILENT_LOAD_S

    def _tell(self, fault: Fault) -> None:
        self.stop()
        self._work = 0
        self._found(fault)
