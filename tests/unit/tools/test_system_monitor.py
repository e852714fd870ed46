"""system-monitor: the machine's own figures, in the shapes that are promised."""

from __future__ import annotations

import os

import psutil
import pytest

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import call_tool

CPU = {"cpu_usage_percent", "cpu_percent", "cpu_count", "load_average"}
MEMORY = {
    *("total_memory_bytes", "used_memory_bytes", "available_memory_bytes", "memory_usage_percent"),
    *("total_memory_formatted", "used_memory_formatted", "available_memory_formatted"),
}


def test_the_processor() -> None:
    result = call_tool("system-monitor", {"operation": "cpu"}).result
    assert set(result) == CPU
    assert result["cpu_count"] == os.cpu_count()
    assert 0 <= result["cpu_usage_percent"] == result["cpu_percent"] <= 100
    assert len(result["load_average"]) == 3


def test_the_memory() -> None:
    called = call_tool("system-monitor", {"metric": "memory"})
    assert set(called.result) == MEMORY
    assert called.result["total_memory_bytes"] == psutil.virtual_memory().total
    assert called.result["total_memory_formatted"].split()[1] in ("MB", "GB", "TB")
    assert called.outcome is not None
    assert called.outcome.text is not None
    assert called.outcome.text.startswith("Memory: ")
    assert called.output == called.result


def test_the_disks() -> None:
    result = call_tool("system-monitor", {"operation": "disk"}).result
    root = result["disk_usage"]["/"]
    assert root["total_bytes"] == psutil.disk_usage("/").total
    assert {"available_bytes", "used_bytes", "usage_percent"} <= set(root)


@pytest.mark.parametrize("arguments", [{}, {"operation": "all"}, {"operation": "stats"}, {"metrics": "all"}])
def test_all_of_it(arguments: dict[str, str]) -> None:
    result = call_tool("system-monitor", arguments).result
    assert set(result) == CPU | MEMORY | {"disk_usage", "uptime_seconds", "process_count"}
    assert result["uptime_seconds"] > 0
    assert result["process_count"] > 0


def test_several() -> None:
    assert set(call_tool("system-monitor", {"metrics": ["memory", "cpu"]}).result) == CPU | MEMORY
    assert set(call_tool("system-monitor", {"metrics": "cpu"}).result) == CPU
    with pytest.raises(InvalidRequest, match="Unknown operation: gpu"):
        call_tool("system-monitor", {"operation": "gpu"})
