"""How long a call of a tool may take: what the caller wants, else what the settings and the tool's own times say."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.tools.limits import DEFAULT_TIMEOUT_S, timeout_of
from llmspell_protocol.tools.builtin import builtin_tools

WATCHER, PROGRAMS, PLAIN = (builtin_tools()[name] for name in ("file-watcher", "process-executor", "calculator"))


@pytest.mark.parametrize(
    ("tool", "tables", "arguments", "wanted", "seconds"),
    [
        (PLAIN, {}, {}, None, DEFAULT_TIMEOUT_S),
        (PLAIN, {}, {"timeout_ms": 100_000}, None, DEFAULT_TIMEOUT_S),
        (PROGRAMS, {"system": {"command_timeout_seconds": 30}}, {}, None, 35),
        (PROGRAMS, {"system": {"command_timeout_seconds": 30}}, {"timeout_ms": 100}, None, 35),
        (WATCHER, {"file_operations": {}}, {}, None, 305),
        (WATCHER, {"file_operations": {}}, {"timeout_seconds": 600}, None, 605),
        (WATCHER, {"file_operations": {}}, {"timeout_seconds": 10_000}, None, DEFAULT_TIMEOUT_S),
        (WATCHER, {"file_operations": {}}, {"timeout_seconds": "1", "timeout_ms": 3000}, None, 8),
        (WATCHER, {"file_operations": {}}, {"timeout_seconds": 600}, 7.0, 7),
    ],
)
def test_the_longest_of_the_times_counts_and_the_callers_before_all(
    tool: Any, tables: dict[str, dict[str, Any]], arguments: dict[str, Any], wanted: float | None, seconds: float
) -> None:
    assert timeout_of(tool, tables, arguments, wanted) == seconds
