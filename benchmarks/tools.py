"""Rows about tools: what a call costs beyond the tool's own work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from benchmarks.result import Result, Wanted, compared
from benchmarks.rounds import percentile
from benchmarks.stage import Stage
from llmspell_protocol.tools.permissions import Permissions
from llmspell_tools.contract import Call
from llmspell_tools.parameters import parameters_of
from llmspell_tools.registry import tool_named

CALLS_A_ROUND = 200
_TOOL = "calculator"
_ARGUMENTS = {"input": "sqrt(16) + 2 ^ 10"}


def tool_call(stage: Stage) -> Iterator[Result]:
    """The calculator from a client through kernel and tool worker, beside its own function."""
    client = stage.fresh_kernel().client
    tool = tool_named(_TOOL)
    call = Call(Permissions(), {}, lambda _message, _figures: None)
    content = {"action": "invoke", "tool": _TOOL, "parameters": _ARGUMENTS}

    def through_the_kernel() -> None:
        client.request("tool_request", content).result()

    def by_itself() -> None:
        tool.run(parameters_of(tool.parameters, _ARGUMENTS), call)

    yield compared(
        "tool_call",
        stage.referee.compare(lambda: _median_ms(through_the_kernel), lambda: _median_ms(by_itself)),
        what=f"calculator through kernel and tool worker, median of {CALLS_A_ROUND}",
        baseline_what="the tool's own function",
        unit="ms",
        wanted=Wanted(bound=3, of="value"),
    )


def _median_ms(act: Callable[[], None]) -> float:
    times = []
    for _ in range(CALLS_A_ROUND):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return 1000 * percentile(times, 0.5)
