"""Debugging over Jupyter's messages with real script workers: as JupyterLab asks, and what happens beside it."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.cell_paths import cell_path
from llmspell_kernel.scripting.job import MAX_CODE_CHARACTERS
from llmspell_protocol.errors import Cancelled
from tests.support.debug_talk import Debugging
from tests.support.function_bench import GIVE, Bench, Gate, asking, bench
from tests.support.script_harness import ScriptHarness, run
from tests.support.turns import until

CODE = "local function twice(x)\n  local y = x * 2\n  return y\nend\nresult = twice(21)\nreturn result"


async def _ended(request: Request) -> None:
    assert request.task is not None
    await asyncio.wait_for(request.task, 30)


def test_the_conversation_that_jupyterlab_has() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        info = await debugger.body("debugInfo")
        assert (info["isStarted"], info["hashMethod"], info["breakpoints"]) == (False, "Murmur2", [])
        assert info["tmpFilePrefix"] + "1" + info["tmpFileSuffix"] == "/llmspell/cells/1.lua"
        capabilities = await debugger.body("initialize", clientID="jupyterlab", adapterID="llmspell", pathFormat="path")
        assert capabilities["supportsSetVariable"]
        await debugger.body("attach")
        assert debugger.events == ["initialized"]
        assert (await debugger.body("debugInfo"))["isStarted"] is True
        assert await debugger.body("inspectVariables") == {"variables": []}
        assert await debugger.body("modules") == {"modules": [], "totalModules": 0}
        path = (await debugger.body("dumpCell", code=CODE))["sourcePath"]
        assert path == cell_path(CODE.encode())
        set_there = await debugger.body(
            "setBreakpoints", source={"path": path}, breakpoints=[{"line": 2}], sourceModified=False
        )
        assert set_there["breakpoints"] == [{"id": 1, "line": 2, "verified": True, "source": {"path": path}}]
        cell, shown = scripts.start(CODE)
        frame = await debugger.stopped()
        assert (frame["name"], frame["line"], frame["source"]["path"]) == ("twice", 2, path)
        info = await debugger.body("debugInfo")
        assert info["stoppedThreads"] == [1]
        assert info["breakpoints"] == [{"source": path, "breakpoints": [{"line": 2}]}]
        scopes = (await debugger.body("scopes", frameId=frame["id"]))["scopes"]
        assert [scope["name"] for scope in scopes] == ["Locals", "Globals"]
        there = await debugger.body("variables", variablesReference=scopes[0]["variablesReference"])
        assert [(one["name"], one["value"], one["type"]) for one in there["variables"]] == [("x", "21", "int")]
        rich = await debugger.body("richInspectVariables", variableName="x", frameId=frame["id"])
        assert rich == {"data": {"text/plain": "21"}, "metadata": {}}
        assert (await debugger.body("source", source={"path": path}, sourceReference=0))["content"] == CODE
        await debugger.body("copyToGlobals", srcVariableName="x", dstVariableName="copied", srcFrameId=frame["id"])
        await debugger.body("evaluate", context="repl", expression="x = 50", frameId=frame["id"])
        await debugger.body("next", threadId=1)
        frame = await debugger.stopped(2)
        assert frame["line"] == 3, frame
        await debugger.body("continue", threadId=1)
        await _ended(cell)
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "100"}
        assert debugger.events == ["initialized", *["stopped", "continued"] * 2]
        variables = (await debugger.body("inspectVariables"))["variables"]
        assert [(one["name"], one["value"]) for one in variables] == [("copied", "21"), ("result", "100")]
        await debugger.body("disconnect", restart=False, terminateDebuggee=False)
        assert (await debugger.body("debugInfo"))["isStarted"] is False
        assert (await scripts.cell(CODE)).replies[0]["status"] == "ok"
        assert len(debugger.stops) == 2

    run(body)


def test_a_long_cell_is_named_beside_the_loop_and_one_that_is_too_long_is_refused() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        code = "--" + "x" * 3_000_000
        naming, turns = asyncio.create_task(debugger.body("dumpCell", code=code)), 0
        while not naming.done():
            await asyncio.sleep(0)
            turns += 1
        assert (await naming)["sourcePath"] == cell_path(code.encode())
        # On the loop it would be over within a handful of them.
        assert turns > 100
        refused = await debugger.ask("dumpCell", code="x" * (MAX_CODE_CHARACTERS + 1))
        assert (refused["success"], refused["code"]) == (False, "invalid_request")
        assert "at most 10000000 are allowed" in refused["message"]

    run(body)


def test_a_breakpoint_in_a_cell_that_ran_before_the_debugger_came() -> None:
    async def body(scripts: ScriptHarness) -> None:
        code = "function later()\n  local here = 1\n  return here\nend"
        await scripts.cell(code)
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(code, 2)
        cell, _ = scripts.start("later()")
        assert (await debugger.stopped())["line"] == 2
        names = [frame["name"] for frame in (await debugger.body("stackTrace"))["stackFrames"]]
        assert names == ["later", "main chunk"]
        await debugger.body("continue")
        await _ended(cell)

    run(body)


def test_what_was_not_started_or_does_not_stand_is_said_in_the_response() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        refused = await debugger.ask("setBreakpoints", source={"path": "/x.lua"}, breakpoints=[])
        assert (refused["success"], refused["message"]) == (False, "the debugger was not started")
        await debugger.start()
        assert (await debugger.ask("continue"))["message"] == "the script is not paused"
        assert (await debugger.body("stackTrace"))["stackFrames"] == []
        assert (await debugger.ask("scopes", frameId=1))["body"] == {"scopes": []}
        assert (await debugger.ask("frobnicate"))["success"] is False
        wrong = await debugger.ask(
            "setBreakpoints", source={"path": "/x"}, breakpoints=[{"line": 1, "hitCondition": "?"}]
        )
        assert wrong["message"] == "'?' is not a hit condition"

    run(body)


def test_an_interrupt_ends_a_cell_that_stands() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        assert scripts.contexts.shared.interrupt()
        await _ended(cell)
        assert shown.replies[0]["code"] == "cancelled"
        assert debugger.events[-2:] == ["stopped", "continued"]
        assert (await debugger.body("debugInfo"))["stoppedThreads"] == []
        assert (await scripts.cell("1 + 1")).of("execute_result")[0]["data"] == {"text/plain": "2"}

    run(body)


def test_an_interrupt_ends_an_evaluation_without_end() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        endless = asyncio.create_task(debugger.ask("evaluate", expression="(function() while true do end end)()"))
        await asyncio.sleep(0)
        scripts.contexts.shared.interrupt()
        await _ended(cell)
        assert shown.replies[0]["code"] == "cancelled"
        assert "variables are gone" not in shown.replies[0]["message"]
        endless.cancel()

    run(body)


def test_a_worker_that_is_killed_where_it_stands_is_told_and_followed_by_another() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        scripts.contexts.shared.worker().kill()
        await _ended(cell)
        assert shown.replies[0]["code"] == "worker_crashed"
        assert debugger.events[-1] == "continued"
        cell, _ = scripts.start(CODE)
        assert (await debugger.stopped(2))["line"] == 2
        await debugger.body("continue")
        await _ended(cell)

    run(body)


def test_other_contexts_and_questions_go_on_while_one_stands() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, _ = scripts.start(CODE)
        await debugger.stopped()
        assert await scripts.value("return 5") == 5
        other = scripts.contexts.open("subshell")
        assert (await scripts.cell_in(other, "6")).of("execute_result")[0]["data"] == {"text/plain": "6"}
        assert (await scripts.contexts.shared.complete("string.upp", 10)).candidates[0].text == "upper"
        await debugger.body("continue")
        await _ended(cell)

    run(body)


def test_two_contexts_are_debugged_apart() -> None:
    async def body(scripts: ScriptHarness) -> None:
        one, other = Debugging(scripts, "one"), Debugging(scripts, "other")
        first, shown_first = scripts.start(CODE, client="one", isolated=True, debug=True, path="/one.lua")
        second, shown_second = scripts.start(CODE, client="other", isolated=True, debug=True, path="/other.lua")
        talks = ((one, first, shown_first, "/one.lua"), (other, second, shown_second, "/other.lua"))
        for debugger, request, shown, path in talks:
            debugger.follow(request)
            await shown.until(lambda frontend: bool(frontend.deltas), 30)
            assert shown.deltas[0]["debug"]["body"]["name"] == path
            await debugger.start()
            await debugger.body("setBreakpoints", source={"path": path}, breakpoints=[{"line": 3}])
            await debugger.body("configurationDone")
        for debugger, request, shown, path in talks:
            await shown.until(lambda frontend: _events(frontend.deltas)[-1] == "stopped", 30)
            frame = (await debugger.body("stackTrace"))["stackFrames"][0]
            assert (frame["source"]["path"], frame["line"]) == (path, 3)
            await debugger.body("continue")
            await _ended(request)
            assert shown.replies[0]["result"] == 42
            assert (await debugger.ask("threads"))["code"] == "not_found"

    run(body)


def _events(deltas: list[Content]) -> list[str]:
    return [delta["debug"]["event"] for delta in deltas if "debug" in delta]


def test_time_does_not_count_while_a_script_stands() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        # All evaluations take longer than the script may compute, and than it may take; each has limits of its own.
        spin = "(function() local n = os.clock() while os.clock() - n < 0.02 do end end)()"
        for _ in range(60):
            await debugger.body("evaluate", expression=spin)
        await debugger.body("continue")
        await _ended(cell)
        assert shown.replies[0]["status"] == "ok"

    run(body, engines={"lua": {"timeout_ms": 500}}, runtime={"script_timeout_seconds": 1})


FUNCTION = "function(x)\n  local y = x + 1\n  return y\nend"


async def _breaking(bench: Bench, debugger: Debugging) -> None:
    await debugger.start()
    await debugger.break_in(GIVE % FUNCTION, 3)


def test_a_stop_in_a_function_that_the_kernel_calls_between_cells() -> None:
    async def body(given: Bench) -> None:
        debugger = Debugging(given.scripts)
        await _breaking(given, debugger)
        called = given.start(await given.offered(FUNCTION), 41)
        frame = await debugger.stopped()
        assert frame["line"] == 3
        # A cell waits for its turn; what else the context is asked for goes on.
        cell, shown = given.scripts.start("1 + 1")
        assert (await debugger.body("evaluate", expression="y", frameId=1))["result"] == "42"
        await debugger.body("continue")
        assert await called == 42
        await _ended(cell)
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "2"}

    bench(body)


def test_a_stop_in_a_function_that_is_called_while_a_cell_waits() -> None:
    async def body(given: Bench) -> None:
        gate, debugger = Gate(), Debugging(given.scripts)
        given.scripts.answers["model ps"] = gate
        await _breaking(given, debugger)
        function = await given.offered(FUNCTION)
        cell, shown = given.scripts.start(
            "local co = coroutine.wrap(function() LocalLLM.ps() end)\nco()\nreturn 'done'"
        )
        await gate.asked()
        called = given.start(function, 1)
        await debugger.stopped()
        names = [frame["line"] for frame in (await debugger.body("stackTrace"))["stackFrames"]]
        assert names[0] == 3
        await debugger.body("stepOut")
        assert await called == 2
        gate.open.set()
        # What runs when the function has ended is the cell that had waited.
        frame = await debugger.stopped(2)
        assert frame["line"] == 3, frame
        await debugger.body("continue")
        await _ended(cell)
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "'done'".replace("'", '"')}

    bench(body)


def test_functions_are_called_while_another_script_of_the_context_stands() -> None:
    async def body(given: Bench) -> None:
        debugger = Debugging(given.scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        function = await given.offered("function(x) return x + 1 end")
        endless = await given.offered("function() print('in') while true do end end")
        cell, shown = given.scripts.start(CODE)
        await debugger.stopped()
        assert await given.call(function, 1) == 2
        asked_for = asking()
        stuck = given.start(endless, request=asked_for)
        await until(lambda: bool(given.output))
        asked_for.cancel("enough of it")
        with pytest.raises(Cancelled, match="enough of it"):
            await stuck
        await debugger.body("continue")
        await _ended(cell)
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "42"}

    bench(body)


def test_a_client_that_goes_lets_the_script_run_on_unless_another_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger, successor = Debugging(scripts), Debugging(scripts, "another")
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        scripts.contexts.forget("client")
        assert (await successor.body("debugInfo"))["stoppedThreads"] == [1]
        monkeypatch.setattr("llmspell_kernel.scripting.debugging.owners.RETURN_S", 0.01)
        scripts.contexts.forget("another")
        await _ended(cell)
        assert shown.replies[0]["status"] == "ok"
        assert (await successor.body("debugInfo"))["isStarted"] is False

    run(body)


def test_silent_cells_never_stop() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        assert (await scripts.cell(CODE, content={"silent": True})).replies[0]["status"] == "ok"
        assert debugger.stops == []

    run(body)


def test_a_client_that_reads_no_iopub_stops_only_what_it_runs_itself() -> None:
    async def body(scripts: ScriptHarness) -> None:
        repl, other = Debugging(scripts, "repl", deltas=True), Debugging(scripts, "other", deltas=True)
        await repl.start()
        await repl.break_in(CODE, 2)
        assert (await scripts.cell(CODE, client="other")).replies[0]["status"] == "ok"
        await other.body("debugInfo")
        cell, shown = scripts.start(CODE, client="repl", deltas=True)
        await shown.until(lambda frontend: _events(frontend.deltas)[-1:] == ["stopped"], 30)
        assert repl.stops == []
        await repl.body("continue")
        await _ended(cell)
        assert (await other.ask("initialize"))["code"] == "busy"
        await repl.body("disconnect")
        await other.start()
        assert (await other.body("debugInfo"))["breakpoints"] == []

    run(body)


def test_the_end_of_a_standing_context_ends_what_stands_in_it() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.break_in(CODE, 2)
        cell, shown = scripts.start(CODE)
        await debugger.stopped()
        scripts.contexts.shared.forget_variables()
        await _ended(cell)
        assert shown.replies[0]["status"] == "error"
        assert (await debugger.body("debugInfo"))["stoppedThreads"] == []

    run(body)
