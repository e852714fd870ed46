"""The machine under a measurement: what it is, and how much of it others used meanwhile. Linux only (/proc)."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class CpuUse:
    """CPU seconds used since the machine started: by all processes, and by this one with all its descendants."""

    all_s: float
    own_s: float
    capacity_s: float

    @classmethod
    def now(cls) -> CpuUse:
        """The counters at this moment."""
        first = Path("/proc/stat").read_text().partition("\n")[0].split()
        # user nice system idle iowait irq softirq steal (proc(5)); guest time is counted in user already. What the
        # host took from this virtual machine (steal) is others' use too.
        ticks = [int(field) for field in first[1:9]]
        idle = ticks[3] + ticks[4]
        return cls((sum(ticks) - idle) / _TICKS_PER_S, _own_s(), sum(ticks) / _TICKS_PER_S)

    def foreign_share_since(self, before: CpuUse) -> float:
        """The share of the machine's CPU time, 0 to 1, that went to processes that are not ours."""
        capacity = self.capacity_s - before.capacity_s
        if capacity <= 0:
            return 0.0
        foreign = (self.all_s - before.all_s) - (self.own_s - before.own_s)
        return max(0.0, foreign / capacity)


def _own_s() -> float:
    """CPU seconds of this process, its living descendants and those that they have waited for."""
    total = 0.0
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, from the scheduler's own account in nanoseconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def resident_bytes(pid: int) -> int:
    """Memory that a process holds, shared pages included."""
    return int(psutil.Process(pid).memory_info().rss)


def description() -> dict[str, object]:
    """What stands beside the figures: processor, system, and the versions that matter."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    packages = ("llmspell", "xllamacpp", "pyzmq", "lupa", "ipykernel", "llama-cpp-python")
    return {
        "processor": next(names, platform.processor()),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in packages},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
