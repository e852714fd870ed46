"""Functions of scripts that the kernel calls: between cells, while a cell waits, for another request, and too late."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from llmspell_kernel.request import Caller, Content, Request
from llmspell_protocol.errors import (
    Cancelled,
    Forbidden,
    InvalidRequest,
    LlmspellError,
    NotFound,
    ScriptError,
    ScriptLimit,
    WorkerCrashed,
)
from tests.support.function_bench import Bench, Gate, asking, bench
from tests.support.script_harness import Frontend, answering
from tests.support.turns import until


def test_a_function_is_called_between_cells_with_plain_values() -> None:
    async def body(bench: Bench) -> None:
        function = await bench.offered(
            "function(a, b) count = (count or 0) + 1 return {sum = a + b, count = count} end"
        )
        assert await bench.call(function, 1, 2) == {"sum": 3, "count": 1}
        assert await bench.call(function, 3, 4) == {"sum": 7, "count": 2}
        shown = await bench.scripts.cell("count")
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "2"}

    bench(body)


def test_what_a_function_asks_for_is_the_invoking_requests_with_its_rights() -> None:
    async def body(bench: Bench) -> None:
        bench.scripts.answers["model list"] = answering(models=[])
        function = await bench.offered("function() return #LocalLLM.list() end")
        asked_for = asking(rights=("infer", "admin"))
        assert await bench.call(function, request=asked_for) == 0
        made = bench.scripts.requests[-1]
        assert made.parent is asked_for
        assert made.caller.capabilities == {"infer"}
        assert made.caller.context == function.context
        assert made.caller.session == "other"
        with pytest.raises(Forbidden):
            made.caller.demand("pull", "model pull")

    bench(body)


def test_a_function_called_while_a_cell_waits_belongs_to_its_invoker() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        bench.scripts.answers["model list"] = answering(models=[])
        function = await bench.offered("function() print('inside') LocalLLM.list() return 'called' end")
        cell, shown = bench.scripts.start("print('before') LocalLLM.ps() print('after')")
        await gate.asked()
        asked_for = asking()
        assert await bench.call(function, request=asked_for) == "called"
        assert bench.scripts.requests[-1].parent is asked_for
        gate.open.set()
        assert cell.task is not None
        await cell.task
        assert shown.output == "before\nafter\n"
        assert bench.output == ["stdout: inside\n"]

    bench(body)


def test_cancelling_the_invoker_cancels_what_its_function_asked_for_and_nothing_else() -> None:
    async def body(bench: Bench) -> None:
        of_cell, of_function = Gate(), Gate()
        bench.scripts.answers["model ps"] = of_cell
        bench.scripts.answers["model list"] = of_function
        function = await bench.offered("function() while true do pcall(LocalLLM.list) end end")
        cell, shown = bench.scripts.start("kept = 'kept' LocalLLM.ps() return kept")
        await of_cell.asked()
        asked_for = asking()
        task = bench.start(function, request=asked_for)
        await of_function.asked()
        asked_for.cancel("enough of it")
        with pytest.raises(Cancelled, match="interrupted: enough of it"):
            await task
        assert of_function.cancelled == len(of_function.requests)
        assert of_cell.cancelled == 0
        of_cell.open.set()
        assert cell.task is not None
        await cell.task
        assert shown.of("execute_result")[0]["data"] == {"text/plain": '"kept"'}
        assert (await bench.scripts.cell("1 + 1")).of("execute_result")[0]["data"] == {"text/plain": "2"}

    bench(body)


def test_stopping_a_cell_ends_the_function_that_runs_on_top_of_it() -> None:
    async def body(bench: Bench) -> None:
        gate, of_function = Gate(), Gate()
        bench.scripts.answers["model ps"] = gate
        bench.scripts.answers["model list"] = of_function
        function = await bench.offered("function() while true do pcall(LocalLLM.list) end end")
        cell, shown = bench.scripts.start("LocalLLM.ps()")
        await gate.asked()
        task = bench.start(function)
        await of_function.asked()
        assert bench.scripts.contexts.shared.interrupt() is True
        assert cell.task is not None
        await cell.task
        assert shown.replies[0]["message"] == "interrupted by the user"
        with pytest.raises(Cancelled, match="the script around this function was stopped"):
            await task
        assert await bench.call(await bench.offered("function() return 'alive' end")) == "alive"

    bench(body)


def test_functions_that_are_called_at_the_same_time_run_one_after_another() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        wait = "if n == 1 then LocalLLM.ps() end"
        code = f"function(n) log = (log or '') .. '<' .. n {wait} log = log .. n .. '>' return log end"
        function = await bench.offered(code)
        first = bench.start(function, 1)
        await gate.asked()
        second, third = bench.start(function, 2), bench.start(function, 3)
        await bench.scripts.contexts.shared.is_complete("the worker has had time to begin them, were they sent")
        gate.open.set()
        assert await asyncio.gather(first, second, third) == ["<11>", "<11><22>", "<11><22><33>"]

    bench(body)


def test_one_that_waits_for_its_turn_can_be_cancelled_and_leaves_the_queue() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        function = await bench.offered("function(n) if n == 1 then LocalLLM.ps() end return n end")
        first = bench.start(function, 1)
        await gate.asked()
        second, third = bench.start(function, 2), bench.start(function, 3)
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.open.set()
        assert await asyncio.gather(first, third) == [1, 3]

    bench(body)


def test_a_function_that_the_running_ones_request_leads_to_nests() -> None:
    async def body(bench: Bench) -> None:
        async def through_the_kernel(request: Request) -> Content:
            inner = bench.given[1]
            other = bench.start(inner, 0)
            depth = await bench.call(inner, request.content["depth"], request=request)
            assert not other.done(), "an unrelated one has to wait for its turn"
            unrelated.append(other)
            return {"depth": depth}

        unrelated: list[asyncio.Task[Any]] = []
        bench.scripts.answers["model nest"] = through_the_kernel
        outer = await bench.offered(
            "function(d) return request('model_request', {action = 'nest', depth = d}).depth end"
        )
        await bench.offered("function(d) return d + 1 end")
        assert await bench.call(outer, 1) == 2
        assert await unrelated[0] == 1

    bench(body)


def test_a_cell_waits_for_the_function_that_runs() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        function = await bench.offered("function() LocalLLM.ps() done = true end")
        task = bench.start(function)
        await gate.asked()
        cell, shown = bench.scripts.start("done")
        await shown.until(lambda frontend: bool(frontend.of("execute_input")))
        gate.open.set()
        await task
        assert cell.task is not None
        await cell.task
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "true"}

    bench(body)


@pytest.mark.parametrize("how", ["released", "forgotten", "never"])
def test_a_function_that_is_gone_is_not_found(how: str) -> None:
    async def body(bench: Bench) -> None:
        function = await bench.offered("function() return 1 end")
        if how == "released":
            bench.scripts.contexts.release(function)
        elif how == "forgotten":
            bench.scripts.contexts.shared.forget_variables()
            await bench.scripts.cell("1")
        else:
            function = function._replace(number=99)
        with pytest.raises(NotFound):
            await bench.call(function)
        bench.scripts.contexts.release(function)

    bench(body)


def test_functions_are_given_by_scripts_and_never_by_clients() -> None:
    async def body(bench: Bench) -> None:
        await bench.offered("function() end")
        contexts = bench.scripts.contexts
        with pytest.raises(Forbidden):
            contexts.function(asking(), {"$fn": 1})
        for nonsense in (None, 1, {}, {"$fn": "1"}):
            with pytest.raises(InvalidRequest):
                contexts.function(bench.scripts.requests[0], nonsense)

    bench(body)


def test_a_script_names_its_own_functions_and_not_those_of_another_context() -> None:
    async def body(bench: Bench) -> None:
        mine = await bench.offered("function() return 'mine' end")
        subshell = bench.scripts.contexts.open("subshell")
        assert bench.scripts.contexts.get(subshell.id) is subshell
        # The number of the other's function, written by hand.
        code = "request('model_request', {action = 'give', fn = {['$fn'] = 1}})"
        shown = await bench.scripts.cell_in(subshell, code)
        assert shown.replies[0]["status"] == "ok"
        theirs = bench.given[-1]
        assert theirs.context != mine.context
        with pytest.raises(NotFound):
            await bench.call(theirs)
        assert await bench.call(mine) == "mine"
        bench.scripts.contexts.end(subshell.id)
        with pytest.raises(NotFound, match="has ended"):
            await bench.call(theirs)
        with pytest.raises(NotFound, match=subshell.id):
            bench.scripts.contexts.get(subshell.id)

    bench(body)


def test_a_subshell_runs_beside_the_shared_context_with_variables_and_a_count_of_its_own() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        cell, shown = bench.scripts.start("x = 'shared' LocalLLM.ps() return x")
        await gate.asked()
        subshell = bench.scripts.contexts.open("subshell")
        beside = await bench.scripts.cell_in(subshell, "return type(x)")
        assert beside.of("execute_result")[0] == {
            "execution_count": 1,
            "data": {"text/plain": '"nil"'},
            "metadata": {},
        }
        assert subshell.interrupt() is False
        assert len(bench.scripts.contexts.pids) == 2
        gate.open.set()
        assert cell.task is not None
        await cell.task
        assert shown.of("execute_result")[0]["data"] == {"text/plain": '"shared"'}
        bench.scripts.contexts.end(subshell.id)
        assert len(bench.scripts.contexts.pids) == 1

    bench(body)


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("function() error('boom') end", ScriptError, "In[1]:1: boom"),
        ("function() return print end", ScriptError, "Unsupported Lua type"),
        ("function() return ('x'):rep(7e7) end", ScriptError, "too large to be sent"),
        ("function() while true do end end", ScriptLimit, "computing time limit of 0.5s"),
    ],
)
def test_a_function_fails_as_a_script_does(function: str, kind: type[LlmspellError], message: str) -> None:
    async def body(bench: Bench) -> None:
        failing = await bench.offered(function)
        with pytest.raises(kind) as failed:
            await bench.call(failing)
        assert message in failed.value.message
        assert await bench.call(await bench.offered("function() return 'alive' end")) == "alive"

    bench(
        body,
        engines={"lua": {"timeout_ms": 500 if kind is ScriptLimit else 20_000, "max_memory_bytes": 400_000_000}},
        runtime={"security": {"max_memory_bytes": 400_000_000}},
    )


def test_the_time_that_a_function_computes_is_not_the_waiting_cells() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        compute = "local began = Utils.now_ms() while Utils.now_ms() - began < 600 do end"
        busy = await bench.offered(f"function() {compute} return 'busy' end")
        cell, shown = bench.scripts.start(f"LocalLLM.ps() {compute} return 'in time'")
        await gate.asked()
        task = bench.start(busy)
        gate.open.set()
        assert await task == "busy"
        assert cell.task is not None
        await cell.task
        assert shown.replies[0]["status"] == "ok"

    bench(body, engines={"lua": {"timeout_ms": 1100}})


def test_the_end_of_the_worker_ends_the_call_and_what_it_asked_for() -> None:
    async def body(bench: Bench) -> None:
        gate = Gate()
        bench.scripts.answers["model ps"] = gate
        function = await bench.offered("function() LocalLLM.ps() end")
        task, queued = bench.start(function), bench.start(function)
        await gate.asked()
        os.kill(bench.scripts.contexts.pids[0], signal.SIGKILL)
        for one in (task, queued):
            with pytest.raises(WorkerCrashed):
                await one
        await until(lambda: gate.cancelled == 1)

    bench(body)


def test_a_function_may_ask_the_client_at_the_root_for_input() -> None:
    async def body(bench: Bench) -> None:
        function = await bench.offered("function() return io.read() end")
        root = Request(
            id="root",
            msg_type="execute_request",
            content={},
            caller=Caller(client="c", session="s"),
            sink=Frontend(["typed"]),
        )
        assert await bench.call(function, request=asking(parent=root)) == "typed"
        assert await bench.call(function, request=asking()) is None

    bench(body)


def test_what_a_function_asks_for_is_a_child_of_what_it_is_called_for_and_not_of_the_root() -> None:
    async def body(bench: Bench) -> None:
        bench.scripts.answers["model list"] = answering(models=[])
        function = await bench.offered("function() return #LocalLLM.list() end")
        inner = asking(parent=asking())
        assert await bench.call(function, request=inner) == 0
        made = bench.scripts.requests[-1]
        assert made.parent is inner
        assert made.id.startswith(f"{inner.id}.")

    bench(body)


def test_buffers_of_a_reply_reach_the_script() -> None:
    async def body(bench: Bench) -> None:
        bench.scripts.buffers = (b"\x00\x01", b"two")
        bench.scripts.answers["model embed"] = answering(count=2)
        code = "local r = request('model_request', {action = 'embed'}) return {#r.buffers, #r.buffers[1], r.buffers[2]}"
        shown = await bench.scripts.cell(code, deltas=True)
        assert shown.replies[0]["result"] == [2, 2, "two"]

    bench(body)
