"""How many cores this process may compute on: affinity, control group and hyper-threading considered."""

from __future__ import annotations

import math
import os
from pathlib import Path

_TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """Logical processors that the process may run on, not more than its control group's quota, at least 1."""
    return max(1, min(len(_allowed()), _quota()))


def physical_cores() -> int:
    """Physical cores behind `usable_cores`: two threads of one core share the units that an engine computes with."""
    siblings = {_siblings(processor) for processor in _allowed()}
    return max(1, min(len(siblings), _quota()))


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
