"""The row about agents: what the kernel adds to a model and a tool that take next to no time themselves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from benchmarks.result import Result, Wanted, alone
from benchmarks.rounds import percentile
from benchmarks.stage import Stage
from llmspell_protocol.client.sync import Client

TURNS_A_ROUND = 100
_SUM = 'call calculator {"input": "2 + 3"}'


def agent_overhead(stage: Stage) -> Iterator[Result]:
    """An agent's turn with one call of the calculator: two replies of the mock model, one call in a tool worker."""
    client = stage.kernel.client
    made = {"action": "create", "name": "bench", "model": "mock/m", "tools": ["calculator"]}
    client.request("agent_request", made).result(60)
    _turn_ms(client)  # workers start
    yield alone(
        "agent_overhead",
        stage.referee.measure(partial(_median_ms, client)),
        what=f"a turn with one tool call, mock model, median of {TURNS_A_ROUND}",
        unit="ms",
        wanted=Wanted(bound=10, of="value"),
    )


def _median_ms(client: Client) -> float:
    return percentile([_turn_ms(client) for _ in range(TURNS_A_ROUND)], 0.5)


def _turn_ms(client: Client) -> float:
    wanted = {"action": "execute", "agent": "bench", "input": _SUM, "remember": False, "stream": False}
    began = time.monotonic()
    reply = client.request("agent_request", wanted).result(60).content
    took_ms = 1000 * (time.monotonic() - began)
    assert reply["tool_calls"][0]["success"], reply["tool_calls"]
    return took_ms
