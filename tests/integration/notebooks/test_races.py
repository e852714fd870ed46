"""Interrupts at random moments, a restart in the middle of a stream, two frontends on one kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from random import Random

import pytest
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Frontend, run_cell
from tests.support.jupyter_messages import AllChannels, Asked, all_channels

INTERRUPTS = 200
SEED = int(os.environ.get("LLMSPELL_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big")

CELLS = (
    "for i = 1, 20 do io.write('.') for _ = 1, 20000 do end end",
    "for i = 1, 400000 do end return 'done'",
    "pcall(function() for i = 1, 400000 do end end) for i = 1, 200000 do end",
    "for i = 1, 10 do Utils.sleep(0.002) io.write('.') end",
    "local w = coroutine.wrap(function() for i = 1, 20 do for _ = 1, 10000 do end coroutine.yield(i) end end)"
    " for i = 1, 20 do io.write(w()) end",
    "speaker:invokeStream('one two three four five six seven eight', function(c) io.write(c.text) end)",
    "for i = 1, 5 do LocalLLM.status() end",
    "error('by itself')",
    "return 1",
    "",
)


@pytest.fixture(scope="module")
def client(manager: KernelManager) -> Iterator[AllChannels]:
    with all_channels(manager.get_connection_info(), "json") as connected:
        yield connected


def is_at(moment: str, asked: Asked) -> bool:
    """Whether a cell has come so far."""
    return moment in asked.kinds or "idle" in asked.kinds


def spin(seconds: float) -> None:
    """Lets a moment pass that no clock of the system's rounds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_interrupts_at_random_moments_leave_each_cell_with_one_answer(client: AllChannels) -> None:
    print(f"seed {SEED}; again: LLMSPELL_TEST_SEED={SEED}")
    random = Random(SEED)
    build = "speaker = Agent.builder():model('mock/speaker'):build() kept = 0"
    client.ask("shell", "execute_request", {"code": build, "allow_stdin": False})
    outcomes: dict[str, int] = {}
    finished: set[str] = set()
    for _ in range(INTERRUPTS):
        client.received.clear()
        code = random.choice(CELLS)
        cell = client.send("shell", "execute_request", {"code": code, "allow_stdin": False})
        moment = random.choice(("at once", "busy", "execute_input", "stream"))
        if moment != "at once":
            client.wait_for(cell, lambda asked, moment=moment: is_at(moment, asked))  # type: ignore[misc]  # of mypy's
        spin(random.random() * 0.003)
        interrupt = client.send("control", "interrupt_request")
        asked, steered = client.finish(cell), client.finish(interrupt)
        assert steered.reply["status"] == "ok"
        status = asked.reply["status"]
        told = f"seed {SEED}: {code!r} interrupted at {moment}: {asked.kinds}"
        assert (asked.kinds.count("busy"), asked.kinds.count("idle")) == (1, 1), told
        assert asked.kinds.count("error") == (status == "error"), told
        assert status in ("ok", "error"), told
        if status == "error" and "by itself" not in asked.reply["evalue"]:
            assert asked.reply["code"] == "cancelled", told
            status = "interrupted"
        outcomes[status] = outcomes.get(status, 0) + 1
        finished |= {cell["header"]["msg_id"], interrupt["header"]["msg_id"]}
    client.received.clear()
    asked = client.ask("shell", "execute_request", {"code": "return kept", "allow_stdin": False})
    assert asked.of("execute_result")[0]["data"]["text/plain"] == "0", "the variables are there"
    late = [message for _, message in client.received if message["parent_header"].get("msg_id") in finished]
    assert late == [], f"seed {SEED}: something came twice"
    assert set(outcomes) == {"ok", "error", "interrupted"}, f"seed {SEED}: {outcomes}"


@pytest.mark.parametrize(
    "code",
    [
        "print('on') while true do end",
        "print('on') while true do pcall(function() while true do end end) end",
        "print('on') Utils.sleep(3600)",
        "print('on') local text = string.rep('x', 1e4) while true do text:upper() end",
        "for i = 1, 500 do string.rep('x', 1e6) end print('on') while true do string.rep('x', 1e6) end",
    ],
    ids=["loop", "pcall", "sleep", "short C functions", "long C functions"],
)
def test_an_interrupt_ends_whatever_runs_and_keeps_the_variables(client: AllChannels, code: str) -> None:
    client.ask("shell", "execute_request", {"code": "kept = 1"})
    cell = client.send("shell", "execute_request", {"code": code, "allow_stdin": False})
    client.wait_for(cell, lambda asked: "stream" in asked.kinds)
    client.ask("control", "interrupt_request")
    asked = client.finish(cell)
    assert (asked.reply["status"], asked.reply["code"]) == ("error", "cancelled")
    after = client.ask("shell", "execute_request", {"code": "return kept"})
    assert after.of("execute_result")[0]["data"]["text/plain"] == "1"


def test_an_interrupt_ends_a_c_function_with_its_worker(frontend: Frontend) -> None:
    with frontend.kernel() as manager, all_channels(manager.get_connection_info(), "json") as client:
        code = "print('on') local s = ('a'):rep(1e6) while true do s:find('.-.-.-.-b') end"
        cell = client.send("shell", "execute_request", {"code": code})
        client.wait_for(cell, lambda asked: "stream" in asked.kinds)
        client.ask("control", "interrupt_request")
        asked = client.finish(cell)
        assert (asked.reply["status"], asked.reply["code"]) == ("error", "cancelled")
        assert "the context's variables are gone" in asked.reply["evalue"]
        assert client.ask("shell", "execute_request", {"code": "return 1"}).reply["status"] == "ok"


def test_a_restart_in_the_middle_of_a_stream(frontend: Frontend) -> None:
    with frontend.kernel() as manager:
        with all_channels(manager.get_connection_info(), "json") as before:
            cell = before.send("shell", "execute_request", {"code": "while true do print('more') end"})
            before.wait_for(cell, lambda asked: asked.kinds.count("stream") > 3)
            manager.restart_kernel(now=False)
            asked = before.finish(cell)
            assert (asked.reply["status"], asked.reply["code"]) == ("error", "cancelled")
            assert asked.kinds[-1] == "idle"
        with frontend.client(manager) as client:
            client.wait_for_ready(timeout=DEADLINE_S)
            assert run_cell(client, "return 6 * 7").value == "42"


def test_two_frontends_on_one_kernel_get_their_own_and_hear_everything(
    client: AllChannels, manager: KernelManager
) -> None:
    with all_channels(manager.get_connection_info(), "msgpack") as other:
        both = (client, other)
        client.received.clear()
        sent = [
            (one, one.send("shell", "execute_request", {"code": f"print({number}) return {number}"}))
            for number in range(20)
            for one in both
        ]
        numbers: list[int] = []
        for one, cell in sent:
            mine = one.finish(cell)
            beside = both[one is client]
            heard = beside.wait_for(cell, lambda asked: "idle" in asked.kinds)
            assert mine.reply["status"] == "ok"
            assert heard.replies == []
            assert heard.kinds == mine.kinds == ["busy", "execute_input", "stream", "execute_result", "idle"]
            numbers.append(mine.reply["execution_count"])
        assert len(set(numbers)) == len(numbers), "no number twice"
        question = client.send("shell", "execute_request", {"code": "return input()", "allow_stdin": True})
        asked = client.finish(question, lambda one: client.answer("mine", to=one))
        other.wait_for(question, lambda one: "idle" in one.kinds)
        assert asked.of("execute_result")[0]["data"]["text/plain"] == '"mine"'
        assert other.of(question).questions == []
