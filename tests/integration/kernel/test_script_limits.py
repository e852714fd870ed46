"""Scripts that have to be stopped: by the user, by time, by memory, by force."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from llmspell_kernel.request import Content, Request
from tests.support.script_harness import Frontend, ScriptHarness, answering, run
from tests.support.turns import until

ENDS_WITHIN_S = 10.0

LOOPS = {
    "tight": "while true do end",
    "inside pcall": "while true do pcall(function() while true do end end) end",
    "inside a coroutine": "local co = coroutine.create(function() while true do end end) "
    "while true do coroutine.resume(co) end",
    "sleeping": "while true do pcall(Utils.sleep, 1000) end",
}


async def _ends(request: Request) -> None:
    assert request.task is not None
    # wait_for would cancel what is late, and cancelling ends any script.
    done, _ = await asyncio.wait({request.task}, timeout=ENDS_WITHIN_S)
    assert done, "the script goes on"


async def _running(scripts: ScriptHarness, code: str, **options: Any) -> tuple[Request, Frontend]:
    """A script that has said that it runs."""
    request, shown = scripts.start(f"print('on') {code}", **options)
    await shown.until(lambda frontend: frontend.output == "on\n")
    return request, shown


@pytest.mark.parametrize("code", LOOPS.values(), ids=LOOPS.keys())
def test_an_interrupt_stops_a_cell_and_keeps_its_variables(code: str) -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("kept = 'still here'")
        request, shown = await _running(scripts, code)
        assert scripts.contexts.shared.interrupt() is True
        await _ends(request)
        reply = shown.replies[0]
        assert (reply["status"], reply["code"], reply["execution_count"]) == ("error", "cancelled", 2)
        assert reply["message"] == "interrupted by the user"
        assert shown.of("error")[0]["ename"] == "cancelled"
        after = await scripts.cell("kept")
        assert after.of("execute_result")[0]["data"] == {"text/plain": '"still here"'}

    run(body)


def test_an_interrupt_without_a_running_cell_does_nothing() -> None:
    async def body(scripts: ScriptHarness) -> None:
        assert scripts.contexts.shared.interrupt() is False
        assert (await scripts.cell("1")).replies[0]["status"] == "ok"

    run(body)


def test_an_interrupt_during_a_request_cancels_the_request() -> None:
    async def body(scripts: ScriptHarness) -> None:
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def forever(_request: Request) -> Content:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return {}

        scripts.answers["model ps"] = forever
        request, shown = scripts.start("while true do pcall(LocalLLM.ps) end")
        await asyncio.wait_for(asked.wait(), 20)
        scripts.contexts.shared.interrupt()
        await _ends(request)
        assert cancelled.is_set()
        assert shown.replies[0]["code"] == "cancelled"
        assert "gone" not in shown.replies[0]["message"]
        assert not request.children

    run(body)


def test_a_match_that_never_ends_is_killed_and_the_next_cell_works() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("kept = 1")
        request, shown = await _running(scripts, "return ('a'):rep(3000):find('.-.-.-.-.-b')")
        scripts.contexts.shared.interrupt()
        await _ends(request)
        message = shown.replies[0]["message"]
        assert message.startswith("interrupted by the user; ")
        assert message.endswith("the script worker was ended and the context's variables are gone")
        after = await scripts.cell("return type(kept)")
        assert after.of("execute_result")[0]["data"] == {"text/plain": '"nil"'}
        assert after.replies[0]["execution_count"] == 3

    run(body)


def test_cancelling_a_run_ends_it_and_its_worker() -> None:
    async def body(scripts: ScriptHarness) -> None:
        request, shown = await _running(scripts, "while true do end", isolated=True, name="s.lua")
        request.cancel("the client cancelled it")
        await _ends(request)
        reply = shown.replies[0]
        assert (reply["code"], reply["message"]) == ("cancelled", "interrupted: the client cancelled it")
        assert (reply["details"]["script"], reply["details"]["line"]) == ("s.lua", 1)
        assert scripts.ended
        assert not scripts.contexts.pids

    run(body)


def test_a_second_cancel_does_not_wait_for_the_script() -> None:
    async def body(scripts: ScriptHarness) -> None:
        request, shown = await _running(scripts, "return ('a'):rep(3000):find('.-.-.-.-.-b')", isolated=True)
        assert request.task is not None
        request.cancel("once")
        heard = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(heard.set_result, None)
        await heard
        request.task.cancel()
        await _ends(request)
        assert shown.replies[0]["code"] == "cancelled"

    run(body)


def test_computing_time_is_limited_through_pcall() -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure("while true do pcall(function() while true do end end) end", name="s.lua")
        assert error["code"] == "script_limit"
        assert error["message"].startswith("Resource limit exceeded: computing time limit of 0.4s exceeded (used: 0.4")
        assert "engines.lua.timeout_ms" in error["hint"]
        assert error["details"]["line"] == 1

    run(body, engines={"lua": {"timeout_ms": 400}})


def test_computing_time_does_not_count_waiting_and_sleeping() -> None:
    async def body(scripts: ScriptHarness) -> None:
        answered = asyncio.Event()

        async def slow(_request: Request) -> Content:
            # Longer than the script may compute.
            asyncio.get_running_loop().call_later(0.6, answered.set)
            await answered.wait()
            return {}

        scripts.answers["model ps"] = slow
        assert await scripts.value("LocalLLM.ps() Utils.sleep(0.5) return 'in time'") == "in time"

    run(body, engines={"lua": {"timeout_ms": 500}})


def test_all_time_together_is_limited() -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure("pcall(Utils.sleep, 1000) print('not reached')")
        assert (error["code"], error["message"]) == ("script_limit", "Script execution timed out after 1s")
        assert error["details"]["output"] == ""

    run(body, runtime={"script_timeout_seconds": 1})


def test_a_limit_that_the_script_cannot_notice_ends_its_worker() -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure("print('before') return ('a'):rep(3000):find('.-.-.-.-.-b')")
        assert error["code"] == "script_limit"
        assert error["message"].endswith("the script worker was ended and the context's variables are gone")
        assert error["details"]["output"] == "before\n"

    run(body, engines={"lua": {"timeout_ms": 300}})


def test_a_finalizer_that_never_ends_is_killed() -> None:
    async def body(scripts: ScriptHarness) -> None:
        code = "setmetatable({}, {__gc = function() while true do end end}) collectgarbage()"
        assert (await scripts.failure(code))["code"] == "script_limit"

    run(body, engines={"lua": {"timeout_ms": 300}})


def test_memory_is_limited_and_the_context_lives_on() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("kept = 1")
        reply = (await scripts.cell("local t = {} for i = 1, 1e9 do t[i] = {i} end")).replies[0]
        assert (reply["code"], reply["message"]) == (
            "script_limit",
            "In[2]:1: not enough memory (limit 20000000 bytes)",
        )
        assert reply["details"]["limit_bytes"] == 20_000_000
        assert (await scripts.cell("kept")).of("execute_result")[0]["data"] == {"text/plain": "1"}

    run(body, engines={"lua": {"max_memory_bytes": 20_000_000}})


@pytest.mark.parametrize(
    "code",
    [
        "local t = {}\n\nfor i = 1, 1e9 do t[i] = {i} end",
        "local n = 1\nlocal s = 'x'\nwhile true do s = s .. s end",
        "local function grow()\nreturn\n('x'):rep(2e8)\nend grow()",
        "local t = {} for i = 1, 1e5 do t[i] = i end\nlocal s = 'x'\nfor i = 1, 60 do s = s .. s end",
        "local co = coroutine.wrap(function()\nlocal s = 'x'\nwhile true do s = s .. s end end) co()",
    ],
)
def test_the_memory_limit_names_the_line(code: str) -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure(code, name="s.lua")
        assert error["code"] == "script_limit"
        assert error["details"]["line"] == 3
        assert error["message"] == "s.lua:3: not enough memory (limit 20000000 bytes)"

    run(body, engines={"lua": {"max_memory_bytes": 20_000_000}})


def test_the_smaller_memory_limit_holds() -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure("return ('x'):rep(2e7)")
        assert error["details"]["limit_bytes"] == 10_000_000

    run(body, runtime={"security": {"max_memory_bytes": 10_000_000}})


def test_a_worker_killed_by_hand_is_reported_and_replaced() -> None:
    async def body(scripts: ScriptHarness) -> None:
        request, shown = await _running(scripts, "while true do end")
        os.kill(scripts.contexts.pids[0], signal.SIGKILL)
        await _ends(request)
        reply = shown.replies[0]
        assert (reply["code"], reply["execution_count"]) == ("worker_crashed", 1)
        assert reply["message"] == (
            "The script worker ended unexpectedly by signal SIGKILL; the context's variables are gone"
        )
        assert (await scripts.cell("1 + 1")).of("execute_result")[0]["data"] == {"text/plain": "2"}

    run(body)


def test_a_worker_killed_between_cells_is_replaced() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("x = 1")
        os.kill(scripts.contexts.pids[0], signal.SIGKILL)
        await until(lambda: scripts.contexts.shared.pid is None)
        assert (await scripts.cell("return type(x)")).of("execute_result")[0]["data"] == {"text/plain": '"nil"'}

    run(body)


def test_the_end_of_a_worker_cancels_what_it_asked_for() -> None:
    async def body(scripts: ScriptHarness) -> None:
        asked, cancelled = asyncio.Event(), asyncio.Event()

        async def forever(_request: Request) -> Content:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return {}

        scripts.answers["model ps"] = forever
        request, shown = scripts.start("LocalLLM.ps()")
        await asyncio.wait_for(asked.wait(), 20)
        os.kill(scripts.contexts.pids[0], signal.SIGKILL)
        await _ends(request)
        await asyncio.wait_for(cancelled.wait(), 5)
        assert shown.replies[0]["code"] == "worker_crashed"

    run(body)


def test_a_stream_that_is_not_read_to_its_end_is_cancelled_with_the_script() -> None:
    async def body(scripts: ScriptHarness) -> None:
        cancelled = asyncio.Event()

        async def endless(request: Request) -> Content:
            request.delta({"text": "first"})
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            return {}

        scripts.answers["agent create"] = answering(agent={"id": "a", "name": "a", "model": "mock/x"})
        scripts.answers["agent execute"] = endless
        code = "local s = Agent.create{model = 'mock/x'}:stream('hi') local chunk = s:next() return chunk.text"
        assert await scripts.value(code) == "first"
        await asyncio.wait_for(cancelled.wait(), 5)

    run(body)


def test_closing_ends_every_worker() -> None:
    pids: list[int] = []

    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("x = 1")
        request, _ = await _running(scripts, "while true do end", isolated=True)
        pids.extend(scripts.contexts.pids)
        assert len(pids) == 2
        request.cancel("the kernel is shutting down")
        await _ends(request)

    run(body)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
