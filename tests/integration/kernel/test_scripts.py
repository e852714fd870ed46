"""Scripts in their worker processes: cells by Jupyter's rules, isolated runs, what they ask the kernel for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.context import LONGEST_TYPED
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import ModelNotFound
from llmspell_protocol.rights import SCRIPT_CAPABILITIES
from tests.support.script_harness import ScriptHarness, answering, run


def test_a_cell_publishes_its_input_and_its_value() -> None:
    async def body(scripts: ScriptHarness) -> None:
        shown = await scripts.cell("1 + 1")
        assert shown.published == [
            ("execute_input", {"code": "1 + 1", "execution_count": 1}),
            ("execute_result", {"execution_count": 1, "data": {"text/plain": "2"}, "metadata": {}}),
        ]
        reply = shown.replies[0]
        assert (reply["status"], reply["execution_count"], reply["payload"]) == ("ok", 1, [])
        assert reply["user_expressions"] == {}

    run(body)


def test_cells_share_their_variables_and_count() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("x = 20")
        shown = await scripts.cell("print(x) return x + 22")
        assert shown.of("stream") == [{"name": "stdout", "text": "20\n"}]
        assert shown.of("execute_result")[0]["data"] == {"text/plain": "42"}
        assert shown.replies[0]["execution_count"] == 2

    run(body)


def test_silent_and_unstored_cells_do_not_count() -> None:
    async def body(scripts: ScriptHarness) -> None:
        silent = await scripts.cell("x = 1 return x", content={"silent": True})
        assert silent.published == []
        assert silent.replies[0]["execution_count"] == 0
        unstored = await scripts.cell("x", content={"store_history": False})
        assert [kind for kind, _ in unstored.published] == ["execute_input", "execute_result"]
        assert unstored.replies[0]["execution_count"] == 0

    run(body)


def test_a_failing_cell_publishes_the_error_before_its_reply() -> None:
    async def body(scripts: ScriptHarness) -> None:
        shown = await scripts.cell("local function f()\n  error('boom')\nend\nf()")
        error = shown.of("error")[0]
        assert error["evalue"] == "In[1]:2: boom"
        assert error["traceback"] == [
            "Error: In[1]:2: boom",
            "  2 | error('boom')",
            "stack traceback:",
            "  In[1]:2: in local 'f'",
            "  In[1]:4: in main chunk",
        ]
        reply = shown.replies[0]
        assert (reply["status"], reply["code"], reply["execution_count"]) == ("error", "script_error", 1)
        assert (reply["details"]["script"], reply["details"]["line"]) == ("In[1]", 2)
        assert reply["traceback"] == error["traceback"]

    run(body)


def test_a_hint_helps_with_a_misspelt_global() -> None:
    async def body(scripts: ScriptHarness) -> None:
        reply = (await scripts.cell("Agnet.create{}")).replies[0]
        assert reply["hint"] == "did you mean 'Agent'?"

    run(body)


def test_user_expressions_have_a_status_each() -> None:
    async def body(scripts: ScriptHarness) -> None:
        expressions = {"good": "x * 2", "bad": "x.y.z", "text": "'a'"}
        reply = (await scripts.cell("x = 4", content={"user_expressions": expressions})).replies[0]
        values = reply["user_expressions"]
        assert values["good"] == {"status": "ok", "data": {"text/plain": "8"}, "metadata": {}}
        assert values["text"]["data"] == {"text/plain": '"a"'}
        assert (values["bad"]["status"], values["bad"]["ename"]) == ("error", "script_error")

    run(body)


def test_cells_queued_behind_a_failing_one_are_aborted_for_its_client_only() -> None:
    async def body(scripts: ScriptHarness) -> None:
        failing, first = scripts.start("print('begins') local t = {} for i = 1, 1e7 do t[i % 9] = i end error('no')")
        mine, second = scripts.start("x = 'ran'")
        other, third = scripts.start("return 'other'", client="another")
        for request in (failing, mine, other):
            assert request.task is not None
            await request.task
        assert first.replies[0]["status"] == "error"
        assert second.replies[0] == {"status": "aborted", "execution_count": 1}
        assert second.published == []
        assert third.replies[0]["status"] == "ok"

    run(body)


def test_a_failing_cell_that_does_not_stop_lets_the_next_one_run() -> None:
    async def body(scripts: ScriptHarness) -> None:
        failing, _ = scripts.start("error('no')", content={"stop_on_error": False})
        after, shown = scripts.start("return 'ran'")
        assert failing.task is not None
        assert after.task is not None
        await asyncio.wait({failing.task, after.task})
        assert shown.replies[0]["status"] == "ok"

    run(body)


def test_the_first_output_of_a_cell_comes_at_once_and_the_rest_together() -> None:
    async def body(scripts: ScriptHarness) -> None:
        lines = 3000
        shown = await scripts.cell(f"for i = 1, {lines} do print(i) end")
        streams = shown.of("stream")
        assert streams[0]["text"].startswith("1\n")
        assert shown.output == "".join(f"{i}\n" for i in range(1, lines + 1))
        assert len(streams) < lines / 10

    run(body)


def test_output_arrives_while_the_script_still_runs() -> None:
    async def body(scripts: ScriptHarness) -> None:
        seen = asyncio.Event()

        async def wait_for_the_reader(_request: Request) -> Content:
            await asyncio.wait_for(seen.wait(), 20)
            return {}

        scripts.answers["model ps"] = wait_for_the_reader
        request, shown = scripts.start("print('first') LocalLLM.ps() print('second')", isolated=True)
        await shown.until(lambda frontend: frontend.output == "first\n")
        seen.set()
        assert request.task is not None
        await request.task
        assert shown.output == "first\nsecond\n"

    run(body)


def test_a_cell_that_wants_deltas_gets_its_output_both_ways() -> None:
    async def body(scripts: ScriptHarness) -> None:
        shown = await scripts.cell("print('x')", deltas=True)
        assert shown.of("stream") == [{"name": "stdout", "text": "x\n"}]
        assert shown.deltas == [{"stream": "stdout", "text": "x\n"}]

    run(body)


def test_an_isolated_run_answers_its_requester_only() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("leaked = 1")
        shown = await scripts.run(
            "print(ARGS.name, leaked) io.stderr:write('warned') return {answer = 42}",
            name="chat.lua",
            args=["--name", "world"],
        )
        assert shown.published == []
        assert shown.deltas == [
            {"stream": "stdout", "text": "world\tnil\n"},
            {"stream": "stderr", "text": "warned"},
        ]
        reply = shown.replies[0]
        assert reply["status"] == "ok"
        assert (reply["execution_count"], reply["engine"], reply["script"]) == (0, "lua", "chat.lua")
        assert (reply["result"], reply["result_repr"], reply["args_count"]) == ({"answer": 42}, "{answer = 42}", 2)
        assert reply["exit_code"] is None
        assert isinstance(reply["duration_ms"], int)

    run(body)


def test_the_error_of_a_run_holds_place_traceback_and_output() -> None:
    async def body(scripts: ScriptHarness) -> None:
        error = await scripts.failure("print('before')\nlocal x = nil\nprint(x.y)", name="chat.lua")
        assert (error["code"], error["message"]) == (
            "script_error",
            "chat.lua:3: attempt to index a nil value (local 'x')",
        )
        details = error["details"]
        assert (details["script"], details["line"], details["output"]) == ("chat.lua", 3, "before\n")
        assert details["traceback"] == ["chat.lua:3: in main chunk"]

    run(body)


def test_a_failed_request_that_is_not_caught_keeps_its_code() -> None:
    async def body(scripts: ScriptHarness) -> None:
        async def missing(_request: Request) -> Content:
            raise ModelNotFound("Model 'x' not found in any backend", hint="llmspell model pull x")

        scripts.answers["model info"] = missing
        error = await scripts.failure("local info = LocalLLM.info('x')", name="s.lua")
        assert error["message"] == "s.lua:1: Model 'x' not found in any backend"
        assert error["hint"] == "llmspell model pull x"
        assert error["details"]["cause"]["code"] == "model_not_found"

    run(body)


def test_os_exit_gives_the_status_and_ends_nothing_else() -> None:
    async def body(scripts: ScriptHarness) -> None:
        reply = (await scripts.run("print('x') os.exit(3) print('y')")).replies[0]
        assert (reply["status"], reply["exit_code"]) == ("ok", 3)
        await scripts.cell("kept = 1 os.exit(1)")
        assert (await scripts.cell("kept")).of("execute_result")[0]["data"] == {"text/plain": "1"}

    run(body)


def test_functions_in_a_result_are_named() -> None:
    async def body(scripts: ScriptHarness) -> None:
        assert await scripts.value("return {f = print, n = 1}") == {"f": "<function>", "n": 1}

    run(body)


@pytest.mark.parametrize(
    ("options", "code", "named"),
    [
        ({"engine": "python"}, "unsupported", "Script engine 'python' is not available yet."),
        ({"args": "words"}, "invalid_request", "metadata.llmspell.args has to be a list of texts"),
        ({"cwd": "relative"}, "invalid_request", "metadata.llmspell.cwd"),
        ({"cwd": "/a\0b"}, "invalid_request", "metadata.llmspell.cwd has a zero byte"),
        ({"path": "/a\0b/c.lua"}, "invalid_request", "metadata.llmspell.path has a zero byte"),
        ({"path": 5}, "invalid_request", "metadata.llmspell.path has to be a text"),
        ({"env": ["MODEL"]}, "invalid_request", "metadata.llmspell.env has to be a map of texts to texts"),
        ({"isolatd": True}, "invalid_request", "metadata.llmspell.isolatd is not an option; did you mean 'isolated'?"),
        ({"timeout_s": 0}, "invalid_request", "metadata.llmspell.timeout_s has to be more than 0"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, object], code: str, named: str) -> None:
    async def body(scripts: ScriptHarness) -> None:
        reply = await scripts.failure("return 1", **options)
        assert reply["code"] == code
        assert named in reply["message"]

    run(body)


def test_modules_come_from_the_scripts_directory_for_local_callers_only(tmp_path: Path) -> None:
    (tmp_path / "lib.lua").write_text("return {name = 'lib', model = os.getenv('MODEL'), home = os.getenv('HOME')}")

    async def body(scripts: ScriptHarness) -> None:
        (tmp_path / "work").mkdir()
        place = {
            "path": str(tmp_path / "main.lua"),
            "cwd": str(tmp_path / "work"),
            "env": {"MODEL": "m", "HOME": "/root"},
        }
        assert await scripts.value("return (require('lib'))", **place) == {"name": "lib", "model": "m"}
        error = await scripts.failure("return (require('lib'))", local=False, **place)
        assert "files of scripts need a kernel on this machine" in error["message"]

    run(body)


def test_input_comes_from_the_client_that_started_the_script() -> None:
    async def body(scripts: ScriptHarness) -> None:
        code = "return {io.read(), io.read(), io.read() == nil}"
        assert await scripts.value(code, content={"allow_stdin": True}, lines=["one", "two"]) == ["one", "two", True]
        assert await scripts.value("return io.read() == nil", lines=["not asked for"]) is True

    run(body)


def test_input_in_a_cell_without_stdin_is_an_error() -> None:
    async def body(scripts: ScriptHarness) -> None:
        reply = (await scripts.cell("local line = io.read()", content={"allow_stdin": False})).replies[0]
        assert reply["status"] == "error"
        assert "input is not possible here" in reply["message"]
        asked = await scripts.cell("io.read()", content={"allow_stdin": True}, lines=["typed"])
        assert asked.of("execute_result")[0]["data"] == {"text/plain": '"typed"'}

    run(body)


def test_a_request_carries_the_scripts_own_rights_and_place() -> None:
    async def body(scripts: ScriptHarness) -> None:
        scripts.answers["model ps"] = answering(models=[])
        request, _ = scripts.start("LocalLLM.ps()", isolated=True)
        assert request.task is not None
        await request.task
        child = scripts.requests[0]
        assert child.parent is request
        assert (child.caller.kind, child.caller.session) == ("script", request.caller.session)
        assert child.caller.capabilities == SCRIPT_CAPABILITIES
        assert child.caller.context == child.caller.client
        assert child.caller.client != request.caller.client
        assert scripts.ended == [child.caller.context]

    run(body)


def test_isolated_runs_go_side_by_side_up_to_their_number() -> None:
    async def body(scripts: ScriptHarness) -> None:
        inside, both, go_on = 0, asyncio.Event(), asyncio.Event()

        async def hold(_request: Request) -> Content:
            nonlocal inside
            inside += 1
            if inside == 2:
                both.set()
            await go_on.wait()
            return {}

        scripts.answers["model ps"] = hold
        started = [scripts.start("LocalLLM.ps() return 'done'", isolated=True) for _ in range(3)]
        await asyncio.wait_for(both.wait(), 20)
        # A worker is started as soon as its run may begin.
        assert len(scripts.contexts.pids) == inside == 2
        go_on.set()
        for request, shown in started:
            assert request.task is not None
            await request.task
            assert shown.replies[0]["result"] == "done"
        assert inside == 3

    run(body, runtime={"max_concurrent_scripts": 2})


def test_a_worker_started_ahead_serves_the_first_run() -> None:
    async def body(scripts: ScriptHarness) -> None:
        scripts.contexts.prepare()
        assert len(scripts.contexts.pids) == 1
        assert await scripts.value("return 1") == 1
        assert scripts.contexts.pids == ()
        assert len(scripts.ended) == 1

    run(body)


def test_a_worker_started_ahead_under_other_settings_is_not_used() -> None:
    async def body(scripts: ScriptHarness) -> None:
        scripts.contexts.prepare()
        scripts.settings = scripts.settings.with_values(
            {"engines": Settings.check({"engines": {"lua": {"stdlib": "None"}}}).engines}
        )
        assert await scripts.value("return type(string)") == "nil"

    run(body)


@pytest.fixture
def _patient_introspection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a moment, which a busy machine may need."""
    monkeypatch.setattr("llmspell_kernel.scripting.context.INTROSPECTION_S", 60.0)


@pytest.mark.usefixtures("_patient_introspection")
def test_a_waiting_script_serves_introspection() -> None:
    async def body(scripts: ScriptHarness) -> None:
        async def look_inside(_request: Request) -> Content:
            status, _ = await scripts.contexts.shared.is_complete("for")
            return {"status_of_code": status}

        scripts.answers["model ps"] = look_inside
        shown = await scripts.cell("LocalLLM.ps().status_of_code")
        assert shown.of("execute_result")[0]["data"] == {"text/plain": '"incomplete"'}

    run(body)


@pytest.mark.usefixtures("_patient_introspection")
def test_introspection_answers_as_jupyter_wants_it() -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell("grün = {feld = 1}")
        complete = await scripts.cell("ü = LocalL", msg_type="complete_request", content={"cursor_pos": 10})
        assert complete.replies[0] == {
            "status": "ok",
            "matches": ["LocalLLM"],
            "cursor_start": 4,
            "cursor_end": 10,
            "metadata": {
                "_jupyter_types_experimental": [
                    {"text": "LocalLLM", "type": "module", "signature": "", "start": 4, "end": 10}
                ]
            },
        }
        incomplete = await scripts.cell("if x then\n    y()", msg_type="is_complete_request")
        assert incomplete.replies[0] == {"status": "incomplete", "indent": "    "}  # what it has
        assert (await scripts.cell("x = 1", msg_type="is_complete_request")).replies[0] == {"status": "complete"}
        endless = await scripts.cell("x = 1\n" * (LONGEST_TYPED // 5), msg_type="is_complete_request")
        assert endless.replies[0] == {"status": "unknown"}
        assert (await scripts.cell("", msg_type="comm_info_request")).replies[0] == {"status": "ok", "comms": {}}

    run(body)


def test_a_question_comes_behind_what_was_printed_before_it() -> None:
    async def body(scripts: ScriptHarness) -> None:
        code = "print('a') print('b') io.write('name? ') return io.read() .. input('more? ')"
        for options in ({}, {"isolated": True}):
            asked = await scripts.cell(code, lines=["Ada ", "Lovelace"], content={"allow_stdin": True}, **options)
            assert asked.asked == [("", "a\nb\nname? "), ("more? ", "a\nb\nname? ")]

    run(body)


def test_is_complete_is_unknown_while_the_worker_computes() -> None:
    async def body(scripts: ScriptHarness) -> None:
        request, shown = scripts.start("print('on') while true do end")
        await shown.until(lambda frontend: frontend.output == "on\n")
        asked = await scripts.cell("x = 1", msg_type="is_complete_request")
        assert asked.replies[0] == {"status": "unknown"}
        request.cancel("enough")
        assert request.task is not None
        await request.task

    run(body)
