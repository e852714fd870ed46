"""How much memory there is: what this machine or its container can still give, and what one process holds."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_STATM_RESIDENT = 1


def available_bytes() -> int:
    """What new processes can get without swapping: the machine's, or the container's limit where that is less."""
    try:
        machine = _meminfo_available(Path("/proc/meminfo").read_text())
    except FileNotFoundError:
        # Other systems have no /proc; psutil costs 10 ms to import.
        import psutil

        return int(psutil.virtual_memory().available)
    container = _container_available()
    return machine if container is None else min(machine, container)


def resident_bytes(pid: int) -> int | None:
    """The resident memory of a process, mapped files included; None when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as stream:
            return int(stream.read().split()[_STATM_RESIDENT]) * os.sysconf("SC_PAGE_SIZE")
    except ProcessLookupError:
        return None
    except FileNotFoundError:
        if Path("/proc/self/statm").exists():
            return None
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return None


def read_bytes(pid: int) -> int:
    """What a process has read from disk and pipes so far; 0 where the system doesn't tell, or it is gone."""
    try:
        with open(f"/proc/{pid}/io", "rb") as stream:
            counters = dict(line.split(b": ") for line in stream.read().splitlines())
        return int(counters[b"rchar"]) + int(counters[b"read_bytes"])
    except (OSError, KeyError, ValueError):
        return 0


def _meminfo_available(text: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
    return int(line.split()[1]) * 1024


def _container_available() -> int | None:
    """What a cgroup (version 2) with a limit can still take; the page cache that it can give back counts as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((_CGROUP / "memory.current").read_text())
        statistics = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (FileNotFoundError, PermissionError):
        return None
    return max(0, int(limit) - used + int(statistics.get("inactive_file", 0)))
