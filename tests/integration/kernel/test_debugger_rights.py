"""With whose rights a debugger works, who may debug what, whose the debugger is, and how what it runs is ended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.request import Content, Request
from llmspell_kernel.scripting.debugging import arguments, owners, session
from llmspell_kernel.scripting.told_texts import MOST_TEXTS, Texts
from tests.support.debug_talk import Debugging
from tests.support.function_bench import Bench, asking, bench
from tests.support.script_harness import Frontend, ScriptHarness, answering, run

CODE = "x = 1\ny = 2"
ENDLESS = "(function() print('in') while true do end end)()"
READ = "function() local file = io.open('{}') return file and file:read('a') or 'nothing' end"


async def _ended(request: Request) -> None:
    assert request.task is not None
    await asyncio.wait_for(request.task, 30)


async def _standing(scripts: ScriptHarness, debugger: Debugging, code: str = CODE, **options: Any) -> Request:
    await debugger.start()
    await debugger.break_in(code, 2)
    cell, _ = scripts.start(code, **options)
    await debugger.stopped()
    return cell


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("s3cret")
    return path


# Rights


def test_an_evaluation_reaches_no_file_that_a_cell_was_granted(secret: Path) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger, allow, read = Debugging(scripts), {"read": [str(secret.parent)]}, READ.format(secret)
        cell = await _standing(scripts, debugger, f"local one = 1\nlocal two = 2\ngot = ({read})()", allow=allow)
        asked = f"({read})()"
        assert (await debugger.body("evaluate", expression=asked))["result"] == '"nothing"'
        await debugger.body("setExpression", expression="found", value=asked)
        await debugger.body("continue")
        await _ended(cell)
        assert (await debugger.body("evaluate", expression=asked))["result"] == '"nothing"'
        values = {one["name"]: one["value"] for one in (await debugger.body("inspectVariables"))["variables"]}
        assert values == {"found": '"nothing"', "got": '"s3cret"'}

    run(body)


def test_what_an_evaluation_asks_for_is_asked_with_the_rights_of_the_debug_request() -> None:
    async def body(scripts: ScriptHarness) -> None:
        scripts.answers["model list"] = answering(models=[])
        debugger = Debugging(scripts)
        cell = await _standing(scripts, debugger)
        await debugger.body("evaluate", expression="#LocalLLM.list()")
        assert scripts.requests[-1].root.msg_type == "debug_request"
        await debugger.body("continue")
        await _ended(cell)
        await debugger.body("evaluate", expression="#LocalLLM.list()")
        assert scripts.requests[-1].root.msg_type == "debug_request"

    run(body)


@pytest.mark.parametrize("field", ["condition", "logMessage"])
def test_what_a_breakpoint_evaluates_reaches_nothing_and_asks_for_nothing(field: str, secret: Path) -> None:
    async def body(scripts: ScriptHarness) -> None:
        scripts.answers["model list"] = answering(models=[])
        debugger = Debugging(scripts)
        await debugger.start()
        code = "x = 1\ny = 2\nreturn io.open(path):read('a')"
        for asked in ("LocalLLM.list()", f"noted(({READ.format(secret)})())"):
            given = asked if field == "condition" else f"{{{asked}}}"
            await debugger.break_in(code, {"line": 2, field: given})
            await scripts.cell(f"path = '{secret}' function noted(text) seen = text return false end")
            cell, shown = scripts.start(code, allow={"read": [str(secret.parent)]})
            if field == "condition" and "LocalLLM" in asked:
                await debugger.stopped()
                assert "can ask for nothing" in debugger.stops[-1]["text"]
                await debugger.body("continue")
            await _ended(cell)
            assert shown.of("execute_result")[0]["data"] == {"text/plain": '"s3cret"'}
        assert scripts.requests == []
        assert (await debugger.body("evaluate", expression="seen"))["result"] == '"nothing"'

    run(body)


def test_a_function_of_a_script_reaches_what_its_client_granted_for_that_client_alone(secret: Path) -> None:
    async def body(given: Bench) -> None:
        function = await given.offered(READ.format(secret))
        await given.scripts.cell("return 1", allow={"read": [str(secret.parent)]})
        assert await given.call(function) == "s3cret"
        other = asking()
        other.caller = other.caller._replace(key_id="another")
        assert await given.start(function, request=other) == "nothing"
        away = asking()
        away.caller = away.caller._replace(local=False)
        assert await given.start(function, request=away) == "nothing"

    bench(body)


# Who may debug


@pytest.mark.parametrize("stranger", [{"key": "another"}, {"local": False}], ids=["key", "place"])
def test_another_key_or_a_client_elsewhere_debugs_nothing_of_what_runs(stranger: dict[str, Any]) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger, other = Debugging(scripts, "owner"), Debugging(scripts, "stranger", **stranger)
        cell = await _standing(scripts, debugger, client="owner")
        commands = {*arguments.FIELDS, "attach", "launch", "terminate", "pause", "continue", "next", "threads"}
        for command in sorted(commands):
            assert (await other.ask(command))["code"] == "forbidden", command
        assert (await other.body("debugInfo"))["isStarted"]
        await debugger.body("continue")
        await _ended(cell)
        # Neither are its cells stopped, whose values it alone may see.
        await asyncio.wait_for(scripts.cell(CODE, client="stranger", **stranger), 30)
        assert len(debugger.stops) == 1

    run(body)


def test_a_cell_of_another_key_is_not_looked_at_by_a_debugger_that_was_there_before() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts, "owner")
        await debugger.start()
        cell, shown = scripts.start("print('in') while true do end", client="other", key="another")
        await shown.until(lambda frontend: frontend.output == "in\n", 30)
        for command in ("evaluate", "pause", "inspectVariables"):
            assert (await debugger.ask(command, expression="1"))["code"] == "forbidden"
        cell.cancel("enough")
        await _ended(cell)
        assert (await debugger.body("evaluate", expression="1"))["result"] == "1"

    run(body)


# Whose the debugger is


def test_another_client_shares_the_debugger_and_takes_nothing_away_by_leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(scripts: ScriptHarness) -> None:
        monkeypatch.setattr(owners, "RETURN_S", 0.01)
        one, other = Debugging(scripts, "one"), Debugging(scripts, "other")
        cell = await _standing(scripts, one, client="one")
        assert (await other.body("debugInfo"))["stoppedThreads"] == [1]
        assert (await other.body("evaluate", expression="x"))["result"] == "1"
        scripts.contexts.forget("other")
        await other.body("disconnect")
        assert (await one.body("stackTrace"))["totalFrames"] == 1
        other_too = Debugging(scripts, "other too")
        await other_too.start()
        await one.body("disconnect")
        assert (await other_too.body("stackTrace"))["totalFrames"] == 1
        scripts.contexts.forget("other too")
        await _ended(cell)

    run(body)


@pytest.mark.parametrize("deltas", [(True, True), (True, False), (False, True)])
def test_a_client_that_alone_hears_of_stops_shares_with_none(deltas: tuple[bool, bool]) -> None:
    async def body(scripts: ScriptHarness) -> None:
        one, other = (Debugging(scripts, name, deltas=its) for name, its in zip("ab", deltas, strict=True))
        await one.start()
        for command in ("initialize", "evaluate", "pause", "disconnect"):
            assert (await other.ask(command, expression="1"))["code"] == "busy", command
        assert (await one.body("evaluate", expression="1"))["result"] == "1"

    run(body)


# What runs is ended

HOLDING = f"held = setmetatable({{}}, {{__newindex = function() {ENDLESS} end, __index = function() {ENDLESS} end}})"


@pytest.mark.parametrize("standing", [False, True])
@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("evaluate", {"expression": ENDLESS}),
        ("evaluate", {"expression": "print('in') or Utils.sleep(1000)"}),
        ("setExpression", {"expression": "held.x", "value": "1"}),
        ("richInspectVariables", {"variableName": "held.x"}),
    ],
)
def test_an_interrupt_ends_what_a_debugger_runs_and_keeps_the_variables(
    command: str, asked: Content, standing: bool
) -> None:
    async def body(scripts: ScriptHarness) -> None:
        await scripts.cell(f"{HOLDING} kept = 5")
        debugger = Debugging(scripts)
        printed = Frontend()
        cell = await _standing(scripts, debugger, frontend=printed) if standing else None
        if not standing:
            await debugger.start()
        running = asyncio.create_task(debugger.ask(command, **asked))
        await (printed if standing else debugger.told).until(lambda told: "'in\\n'" in repr(told.published), 30)
        assert scripts.contexts.shared.interrupt()
        assert (await running)["success"] is False
        if cell is not None:
            await _ended(cell)
        assert (await scripts.cell("return kept")).of("execute_result")[0]["data"] == {"text/plain": "5"}

    run(body)


def test_an_evaluation_has_a_limit_and_one_inside_of_c_is_killed() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        answer = await debugger.ask("evaluate", expression=ENDLESS)
        assert (answer["success"], answer["code"]) == (False, "script_limit")
        assert (await debugger.body("evaluate", expression="1"))["result"] == "1"
        in_c = "('a'):rep(60):find(('a-'):rep(60) .. 'b')"
        answer = await debugger.ask("evaluate", expression=in_c)
        assert (answer["success"], answer["code"]) == (False, "script_limit")
        assert (await scripts.cell("return 2")).of("execute_result")[0]["data"] == {"text/plain": "2"}

    run(body, engines={"lua": {"timeout_ms": 300}})


def test_no_panel_runs_a_function_of_the_scripts_to_show_a_value() -> None:
    async def body(scripts: ScriptHarness) -> None:
        endless = "setmetatable({}, {__tostring = function() while true do end end, __name = 'x'})"
        debugger = Debugging(scripts)
        code = f"local here, one = {endless}, {{[{endless}] = 1, [{endless}] = 2}} all = here\nreturn 1"
        cell = await _standing(scripts, debugger, code)
        scopes = (await debugger.body("scopes", frameId=1))["scopes"]
        for scope in scopes:
            found = await debugger.body("variables", variablesReference=scope["variablesReference"])
            for one in found["variables"]:
                await debugger.body("variables", variablesReference=one["variablesReference"])
        for context in ("watch", "hover", "clipboard"):
            await debugger.body("evaluate", expression="here", context=context)
        await debugger.body("richInspectVariables", variableName="here", frameId=1)
        await debugger.body("inspectVariables")
        await debugger.body("continue")
        await _ended(cell)
        assert [one["name"] for one in (await debugger.body("inspectVariables"))["variables"]] == ["all"]

    run(body, engines={"lua": {"timeout_ms": 5000}})


def test_a_command_whose_wait_has_ended_is_not_obeyed_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        cell = await _standing(scripts, debugger)
        told = Frontend()
        content = {"type": "request", "seq": 1, "command": "evaluate", "arguments": {"expression": ENDLESS}}
        endless, _ = scripts.start("", content=content, msg_type="debug_request", frontend=told)
        await asyncio.sleep(0)
        monkeypatch.setattr(session, "ANSWER_S", 0.05)
        path = (await debugger.body("dumpCell", code=CODE))["sourcePath"]
        late = {
            "evaluate": {"expression": "late = true"},
            "setExpression": {"expression": "late", "value": "true"},
            "setBreakpoints": {"source": {"path": path}, "breakpoints": []},
            "continue": {},
        }
        for command, asked in late.items():
            assert (await debugger.ask(command, **asked))["code"] == "timeout", command
        monkeypatch.setattr(session, "ANSWER_S", 10.0)
        endless.cancel("enough")
        await _ended(endless)
        assert (await debugger.body("evaluate", expression="late"))["result"] == "nil"
        await debugger.body("continue")
        await _ended(cell)

    run(body)


def test_what_is_printed_between_cells_is_told() -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        await debugger.body("evaluate", expression="print('here')")
        told = [event["body"] for event in debugger.told.of("debug_event") if event["event"] == "output"]
        assert told == [{"category": "stdout", "output": "here\n"}]

    run(body)


# What ends with its context, and with the debugger


def test_debuggers_go_with_their_contexts() -> None:
    async def body(scripts: ScriptHarness) -> None:
        shells = scripts.contexts.open_notebook("one", None)
        subshell = shells.create()
        for context in shells:
            assert scripts.contexts.debugging._of_context(context).context is context
        assert len(scripts.contexts.debugging) == 2
        shells.delete(subshell)
        assert len(scripts.contexts.debugging) == 1
        scripts.contexts.end_notebook("one", shells)
        assert len(scripts.contexts.debugging) == 0

    run(body)


def test_texts_are_bounded() -> None:
    texts: Texts[str] = Texts()
    for number in range(MOST_TEXTS + 5):
        texts.keep(str(number), "x")
    assert (len(texts), texts.get("4"), texts.get("5")) == (MOST_TEXTS, None, "x")
    for number in range(20):
        texts.keep(f"long {number}", "x" * (1 << 20))
    assert len(texts) == 16
    texts.clear()
    assert texts.all() == ()


# Wrong arguments

WRONG: list[Any] = [
    5,
    -1,
    1.5,
    True,
    "text",
    [],
    [5],
    ["x"],
    [[]],
    {},
    {"path": 5},
    {"path": "/x"},
    1 << 70,
    "x" * 5000,
]


@pytest.mark.parametrize("standing", [False, True])
def test_wrong_arguments_are_told_and_are_no_defect(standing: bool) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        if standing:
            await _standing(scripts, debugger)
        else:
            await debugger.start()
        for command, fields in arguments.FIELDS.items():
            if command in ("initialize", "disconnect"):
                continue
            for wrong in WRONG:
                asked = {name.removesuffix("!"): wrong for name in fields}
                answer = await debugger.ask(command, **asked)
                assert answer["success"] or answer["code"] in ("invalid_request", "not_found"), (command, wrong, answer)
                assert "Internal" not in answer.get("message", ""), (command, wrong, answer)
        for given in (5, "text", [1]):
            content = {"type": "request", "seq": 1, "command": "evaluate", "arguments": given}
            request, shown = scripts.start("", content=content, msg_type="debug_request")
            await _ended(request)
            assert shown.replies[0]["code"] == "invalid_request"
        scripts.contexts.shared.interrupt()

    run(body)


@pytest.mark.parametrize("hits", ["?", " " * 20_000, "1" * 20_000, "5" + " " * 20_000 + "x", "0"])
def test_wrong_hit_conditions_are_found_at_once(hits: str) -> None:
    async def body(scripts: ScriptHarness) -> None:
        debugger = Debugging(scripts)
        await debugger.start()
        wrong = await debugger.ask(
            "setBreakpoints", source={"path": "/x"}, breakpoints=[{"line": 1, "hitCondition": hits}]
        )
        assert wrong["code"] == "invalid_request"
        assert len(wrong["message"]) < 200

    run(body)
