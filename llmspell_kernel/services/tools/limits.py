"""How long a call may take and how many there may be in a minute, as `[tools]` says."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmspell_protocol.errors import Busy
from llmspell_protocol.tools.description import ToolDescription

if TYPE_CHECKING:
    from llmspell_profiles.schema.settings import Settings

DEFAULT_TIMEOUT_S = 60.0
"""The longest call of a tool whose tables name no time."""
_PARAMETERS = {"timeout_seconds": 1.0, "timeout": 1.0, "timeout_ms": 0.001}
"""Parameters of tools that say how long they go on, and what one of each is in seconds."""
LONGEST_OWN_S = 3600.0
"""What a call may ask for by such a parameter; for more its caller gives it the time."""
_MARGIN_S = 5.0
"""What a call may take beyond its tool's own limit, which ends it with a better error."""
_RATE = "rate_limit_per_minute"


def tables_of(tool: ToolDescription, settings: Settings) -> dict[str, Mapping[str, Any]]:
    """The tables of `[tools]` that a tool reads, by name, as plain values; one's own name is a table too."""
    tables: dict[str, Mapping[str, Any]] = {}
    for name in tool.settings:
        tables[name] = getattr(settings.tools, name).as_data()
    own = settings.tools.others.get(tool.name) or settings.tools.others.get(tool.name.replace("-", "_"))
    if own is not None:
        tables[tool.name] = dict(own)
    return tables


def timeout_of(
    tool: ToolDescription,
    tables: Mapping[str, Mapping[str, Any]],
    arguments: Mapping[str, Any],
    wanted_s: float | None,
) -> float:
    """How long a call may take, in seconds: what the caller wants, else what its tables and its own times say."""
    if wanted_s is not None:
        return wanted_s
    named = [float(time) for table in tables.values() for time in _times(table) if time]
    named += _own_times(tool, arguments)
    return max(named) + _MARGIN_S if named else DEFAULT_TIMEOUT_S


def _own_times(tool: ToolDescription, arguments: Mapping[str, Any]) -> list[float]:
    """What the tool's time parameters are in this call, in seconds, as far as they are numbers the tool takes."""
    times = []
    for name, seconds in _PARAMETERS.items():
        schema = tool.parameters.get("properties", {}).get(name)
        if schema is None:
            continue
        value = arguments.get(name, schema.get("default"))
        if isinstance(value, int | float) and 0 < value * seconds <= LONGEST_OWN_S:
            times.append(value * seconds)
    return times


def _times(table: Mapping[str, Any]) -> Iterator[float | None]:
    yield table.get("timeout_seconds")
    yield table.get("processing_timeout_seconds")
    yield table.get("command_timeout_seconds")
    yield table.get("query_timeout_seconds")


class Rates:
    """Counts calls of the last minute: of all tools, and of those whose table has a rate of its own."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[str, deque[float]] = {}

    def admit(self, tables: Mapping[str, Mapping[str, Any]], all_tools: int | None) -> None:
        """Counts one more call.

        Raises:
            Busy: there were too many in the last minute; `details.retry_after_s` says when there is room.
        """
        limits = {name: int(table[_RATE]) for name, table in tables.items() if table.get(_RATE)}
        if all_tools:
            limits[""] = all_tools
        now = self._clock()
        for name, limit in limits.items():
            calls = self._calls.setdefault(name, deque())
            while calls and calls[0] <= now - 60:
                calls.popleft()
            if len(calls) >= limit:
                wait_s = round(calls[0] + 60 - now, 1)
                setting = f"tools.{name}.{_RATE}" if name else f"tools.{_RATE}"
                raise Busy(
                    f"rate limit: {limit} calls in a minute",
                    hint=f"wait {wait_s:g} s, or raise {setting}",
                    details={"retry_after_s": wait_s, "setting": setting},
                )
        for name in limits:
            self._calls[name].append(now)
