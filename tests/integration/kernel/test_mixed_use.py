"""Hours of mixed use in a minute: the kernel's memory stays flat, and its databases within their limits."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from llmspell_protocol.client.sync import Client
from tests.support.kernels import KernelProcess
from tests.support.script_kernel import ran

ROUNDS = 10
WRITES, REQUESTS, WORKFLOWS = 2_000, 200, 50
"""In each round."""
MOST_SESSIONS = 4
MOST_GROWTH_BYTES = 12_000_000
"""In the second half of the rounds; what is lost by every request would be ten times as much."""
MOST_LOG_BYTES = 16_000_000
"""Of a database's write-ahead log, which is emptied at about 4 MB unless something reads."""

STATE = f"""
for number = 1, {WRITES} do
  State.set("key:" .. number % 500, {{ number = number, text = ("x"):rep(50) }})
end
return State.get("key:1").number
"""
FLOWS = f"""
local done = 0
for number = 1, {WORKFLOWS} do
  local result = Workflow.sequential({{
    name = "sum",
    steps = {{
      {{ name = "add", tool = "calculator", input = {{ input = number .. " + 1" }} }},
      {{ name = "twice", type = "custom", execute = function(ctx) return {{ output = ctx.steps.add.output * 2 }} end }},
    }},
  }}):execute()
  done = done + (result.output == (number + 1) * 2 and 1 or 0)
end
return done
"""


def _round(client: Client) -> None:
    assert ran(client, STATE) == 1_501
    for number in range(REQUESTS):
        content = {"action": "invoke", "tool": "calculator", "parameters": {"input": f"{number} * 2"}}
        assert client.request("tool_request", content).result().content["output"] == number * 2
    assert ran(client, FLOWS) == WORKFLOWS


def _sizes(home: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in home.glob("*.db*")}


@pytest.mark.timeout(600)
def test_writes_recorded_requests_and_workflows_leave_memory_flat_and_databases_small(home: Path) -> None:
    kernel = KernelProcess(
        env={
            "LLMSPELL_STATE_BACKEND": "sqlite",
            "LLMSPELL_SESSIONS_ENABLED": "true",
            "LLMSPELL_SESSIONS_BACKEND": "sqlite",
            "LLMSPELL_SESSIONS_MAX": str(MOST_SESSIONS),
        }
    )
    process = psutil.Process(kernel.process.pid)
    memory: list[int] = []
    sizes: list[dict[str, int]] = []
    for _ in range(ROUNDS):
        # A client a round: each has a session of its own, of which few are kept.
        with kernel.client() as client:
            _round(client)
        memory.append(process.memory_info().rss)
        sizes.append(_sizes(home))
    with kernel.client() as client:
        listed = client.request("session_request", {"action": "list"}).result().content
        keys = client.request("state_request", {"action": "keys", "scope": "global"}).result().content["keys"]
    kernel.stop()
    assert memory[-1] - memory[ROUNDS // 2 - 1] < MOST_GROWTH_BYTES, memory
    assert (len(keys), listed["count"]) == (500, MOST_SESSIONS)
    half, end = sizes[ROUNDS // 2 - 1], sizes[-1]
    # What sessions that went had room for is used again; workflows' outputs stay a week, some hundred bytes each.
    assert end["sessions.db"] < 1.5 * half["sessions.db"], sizes
    assert end["state.db"] < 2_000_000, sizes
    assert all(size < MOST_LOG_BYTES for name, size in end.items() if name.endswith("-wal")), sizes
