"""system-monitor: processor, memory and disks of the machine that the kernel runs on."""

from __future__ import annotations

import os
import time
from typing import Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.parameters import ToolParameters, parameter

_SAMPLE_S = 0.2
"""How long the processor's use is looked at: a share of time needs a time."""
Metric = Literal["cpu", "memory", "disk"]


class Parameters(ToolParameters):
    """What `system-monitor` is called with."""

    operation: Literal["all", "stats", "cpu", "memory", "disk"] = parameter(
        "which figures; all and stats: every one", "all", also=("metric",)
    )
    metrics: list[Metric] | None = parameter("several of cpu, memory and disk, in place of `operation`", None)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """`metrics` may be one name."""
        if isinstance(given.get("metrics"), str):
            given["metrics"] = [given["metrics"]]
        if given.get("metrics") in ([], {}, ["all"], ["stats"]):
            del given["metrics"]
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Asks the system."""
    del call
    everything = wanted.metrics is None and wanted.operation in ("all", "stats")
    parts: list[str] = [*wanted.metrics] if wanted.metrics else [wanted.operation]
    if everything:
        parts = list(_PARTS)
    result: dict[str, Any] = {}
    for part in dict.fromkeys(parts):
        result |= _PARTS[part]()
    if everything:
        result |= _whole()
    return Outcome(
        operation=wanted.operation,
        result=result,
        text="\n".join(_lines(result)),
        message=f"system figures: {', '.join(parts)}",
    )


def _cpu() -> dict[str, Any]:
    # Not every call needs it.
    import psutil

    percent = psutil.cpu_percent(interval=_SAMPLE_S)
    return {
        "cpu_usage_percent": percent,
        "cpu_percent": percent,
        "cpu_count": psutil.cpu_count() or 1,
        "load_average": list(os.getloadavg()),
    }


def _memory() -> dict[str, Any]:
    import psutil

    memory = psutil.virtual_memory()
    figures = {"total_memory": memory.total, "used_memory": memory.used, "available_memory": memory.available}
    return {
        **{f"{name}_bytes": value for name, value in figures.items()},
        "memory_usage_percent": memory.percent,
        **{f"{name}_formatted": _size(value) for name, value in figures.items()},
    }


def _disk() -> dict[str, Any]:
    import psutil

    usage: dict[str, Any] = {}
    for part in [("/", None), *((one.mountpoint, one.fstype) for one in psutil.disk_partitions())]:
        place, filesystem = part
        try:
            space = psutil.disk_usage(place)
        except OSError:
            continue  # A disk that is gone, or is another user's.
        usage[place] = {
            "total_bytes": space.total,
            "available_bytes": space.free,
            "used_bytes": space.used,
            "usage_percent": space.percent,
            **({"filesystem": filesystem} if filesystem else {}),
        }
    return {"disk_usage": usage}


def _whole() -> dict[str, Any]:
    import psutil

    return {"uptime_seconds": round(time.time() - psutil.boot_time()), "process_count": len(psutil.pids())}


def _lines(result: dict[str, Any]) -> list[str]:
    lines = []
    if "cpu_count" in result:
        load = ", ".join(f"{one:.2f}" for one in result["load_average"])
        lines.append(f"CPU: {result['cpu_usage_percent']:g} % of {result['cpu_count']} (load {load})")
    if "total_memory_bytes" in result:
        used, total = result["used_memory_formatted"], result["total_memory_formatted"]
        lines.append(f"Memory: {used} of {total} used ({result['memory_usage_percent']:g} %)")
    for place, space in result.get("disk_usage", {}).items():
        free, total = _size(space["available_bytes"]), _size(space["total_bytes"])
        lines.append(f"Disk {place}: {free} of {total} free")
    if "process_count" in result:
        lines.append(f"Up {result['uptime_seconds']} s, {result['process_count']} processes")
    return lines


def _size(value: int) -> str:
    size, unit = float(value), "B"
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.2f} {unit}"


_PARTS = {"cpu": _cpu, "memory": _memory, "disk": _disk}

TOOL = Tool(
    name="system-monitor",
    description="Tells how much processor, memory and disk the kernel's machine has, and how much is used.",
    category="system",
    level="safe",
    parameters=Parameters,
    run=run,
    result=(
        "cpu: {cpu_usage_percent, cpu_percent, cpu_count, load_average}; memory: {total_memory_bytes, "
        "used_memory_bytes, available_memory_bytes, memory_usage_percent, *_formatted}; disk: {disk_usage: {MOUNT: "
        "{total_bytes, available_bytes, used_bytes, usage_percent, filesystem?}}}; all: these, uptime_seconds, "
        "process_count"
    ),
    keywords=("cpu", "memory", "disk", "load", "uptime"),
    example={"operation": "memory"},
)
