"""How many cores a process may compute on (affinity, control group, hyper-threading), and what others take of them."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TIMES = Path("/proc/stat")
_COUNTED = 8
"""user nice system idle iowait irq softirq steal (proc(5)); what a host takes from a virtual machine is others' use."""
_NOT_USED = (3, 4)
LOOK_S = 0.25
"""Between two looks: the system counts processor time in hundredths of a second."""
_SHARED = 0.4
"""A core of which others take less than this is still worth its thread."""


class Foreign(NamedTuple):
    """Seconds that others have computed on the cores that this process may use, since some time, and their number."""

    used_s: float
    cores: int


def usable_cores() -> int:
    """Logical processors that the process may run on, not more than its control group's quota, at least 1."""
    return max(1, min(len(_allowed()), _quota()))


def physical_cores() -> int:
    """Physical cores behind `usable_cores`: two threads of one core share the units that an engine computes with."""
    siblings = {_siblings(processor) for processor in _allowed()}
    return max(1, min(len(siblings), _quota()))


def foreign_use() -> Foreign | None:
    """What others have had of this process's cores by now; None where the system does not tell (outside Linux)."""
    try:
        lines = _TIMES.read_text().splitlines()
    except OSError:
        return None
    allowed = _allowed()
    names = {f"cpu{processor}" for processor in allowed}
    rows = [line.split()[1 : 1 + _COUNTED] for line in lines if line.partition(" ")[0] in names]
    ticks = sum(int(value) for row in rows for place, value in enumerate(row) if place not in _NOT_USED)
    return Foreign(ticks / os.sysconf("SC_CLK_TCK") - time.process_time(), len(allowed))


class FreeCores:
    """How many cores others leave to a computation, looked at while it runs; any thread may ask."""

    def __init__(
        self,
        most: int,
        *,
        look: Callable[[], Foreign | None] = foreign_use,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most` is how many it can use; `look` is None where the system does not tell: then it is always `most`."""
        self._most = most
        self._look = look
        self._clock = clock
        self._lock = threading.Lock()
        self._asked_at = self._looked_at = clock()
        self._seen = look()
        self.count = most

    def begin(self) -> int:
        """As `now`, for a computation that begins: what others did during a long rest says nothing about it."""
        with self._lock:
            now = self._clock()
            if now - self._asked_at >= LOOK_S:
                self._looked_at, self._seen = now, self._look()
        return self.now()

    def now(self) -> int:
        """The cores that are left at this moment, at least 1; looks anew each `LOOK_S`."""
        now = self._clock()
        if now - self._looked_at >= LOOK_S:
            with self._lock:
                self._judge(now)
        self._asked_at = now
        return self.count

    def _judge(self, now: float) -> None:
        elapsed_s, before = now - self._looked_at, self._seen
        if elapsed_s < LOOK_S:
            return  # another thread has just done it
        self._looked_at, self._seen = now, self._look()
        if before is None or self._seen is None:
            return
        taken = max(0.0, (self._seen.used_s - before.used_s) / elapsed_s)
        self.count = max(1, min(self._most, int(self._seen.cores - taken + _SHARED)))


def _allowed() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    # Outside Linux there is neither affinity nor /sys; psutil asks the system for physical cores.
    import psutil

    return set(range(psutil.cpu_count(logical=False) or os.cpu_count() or 1))


def _siblings(processor: int) -> str:
    try:
        return Path(_TOPOLOGY.format(processor)).read_text().strip()
    except OSError:
        return str(processor)


def _quota() -> int:
    """Whole processors of the control group's quota (cgroup v2 `cpu.max`: microseconds in a period, or max)."""
    try:
        quota, period = _QUOTA.read_text().split()
    except (OSError, ValueError):
        return os.cpu_count() or 1
    return os.cpu_count() or 1 if quota == "max" else math.ceil(int(quota) / int(period))
