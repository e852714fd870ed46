"""How many cores a process may compute on (affinity, control group, hyper-threading), and what others take of them."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import NamedTuple

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_TIMES = Path("/proc/stat")
_COUNTED = 8
"""user nice system idle iowait irq softirq steal (proc(5)); what a host takes from a virtual machine is others' use."""
_NOT_USED = (3, 4)


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
