"""Hooks of scripts in a real kernel: where they fire, what they change, and what becomes of those that misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ScriptLimit, WorkerCrashed
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernels import KernelProcess
from tests.support.script_kernel import ran, script_kernel

CALL = "return Tool.execute('calculator', {input = '2 * 3'}).output"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("hooks")
    (home / "config.toml").write_text("[hooks]\ntimeout_ms = 1500\nmax_hooks = 8\n")
    with script_kernel(home) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


def printed(client: Client, code: str) -> tuple[dict[str, str], Any]:
    """What a script printed, by stream, and its result."""
    pending = client.request(
        "execute_request",
        {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
        metadata={METADATA_KEY: {"isolated": True, "name": "test.lua"}},
    )
    out = {"stdout": "", "stderr": ""}
    for event in pending:
        if isinstance(event, Delta):
            out[event.content["stream"]] += event.content["text"]
    return out, pending.result().content["result"]


POINTS = {
    "agent": (
        "local a = Agent.create{name = 'ada', model = 'mock/a'} a:complete('hi') a:destroy()",
        [
            *("BeforeAgentInit", "AfterAgentInit", "BeforeAgentExecution", "AfterAgentExecution"),
            *("BeforeAgentShutdown", "AfterAgentShutdown"),
        ],
    ),
    "tool": (
        "Tool.list() local x = " + CALL.removeprefix("return "),
        ["BeforeToolDiscovery", "AfterToolDiscovery", "BeforeToolExecution", "ToolValidation", "AfterToolExecution"],
    ),
    "tool that fails": (
        "pcall(Tool.execute, 'calculator', {operation = 'evaluate'})",
        ["BeforeToolExecution", "ToolValidation", "ToolError"],
    ),
    "model": ("LocalLLM.chat{model = 'mock/a', prompt = 'hi'}", ["BeforeModelExecution", "AfterModelExecution"]),
    "event": ("Event.publish('x', 1)", ["BeforeEventEmit", "AfterEventEmit"]),
    "refused": (
        "pcall(Tool.execute, 'file-operations', {operation = 'read', path = '/etc/shadow'})",
        ["BeforeToolExecution", "ToolValidation", "ToolError", "SecurityViolation"],
    ),
}


@pytest.mark.parametrize("name", POINTS)
def test_the_points_of_a_script_s_work_are_reached_in_order(client: Client, name: str) -> None:
    code, points = POINTS[name]
    hooks = "".join(f"Hook.register('{point}', note) " for point in points)
    noting = "local seen = {} local function note(ctx) seen[#seen + 1] = ctx.point end"
    seen = ran(client, f"{noting} {hooks} {code} return seen")
    assert seen == points


def test_a_hook_is_told_what_it_is_about(client: Client) -> None:
    told = ran(
        client,
        "local told Hook.register('AfterToolExecution', function(ctx) told = ctx end) "
        + CALL.replace("return ", "local _ = ")
        + " return told",
    )
    assert told["point"] == "AfterToolExecution"
    assert told["component_id"] == {"type": "tool", "name": "calculator"}
    assert told["language"] == "lua"
    assert len(told["correlation_id"]) == 36
    assert told["data"]["tool_name"] == "calculator"
    assert told["data"]["parameters"] == {"input": "2 * 3"}
    assert told["data"]["result"]["result"] == 6
    agent = ran(
        client,
        "local told Hook.register('AfterAgentExecution', function(ctx) told = ctx.data end) "
        "Agent.create{name = 'ada', model = 'mock/a'}:complete('hi') return told",
    )
    assert (agent["input"], agent["model"], agent["output"]) == ("hi", "mock/a", "[mock/a] hi")
    assert agent["usage"]["prompt_tokens"] >= 1


@pytest.mark.parametrize(
    ("said", "output"),
    [
        ("nil", 6),
        ("'continue'", 6),
        ("'skip'", None),
        ("{type = 'modified', data = {parameters = {input = '1 + 1'}}}", 2),
        ("{type = 'replace', data = 41}", 41),
        ("{type = 'redirect', target = 'nosuch'}", "raised"),
        ("{type = 'cancel', reason = 'not today'}", "raised"),
        ("'not today'", "raised"),
    ],
)
def test_what_a_hook_returns_is_done(client: Client, said: str, output: Any) -> None:
    code = (
        f"Hook.register('BeforeToolExecution', function() return {said} end) "
        "local ok, found = pcall(Tool.execute, 'calculator', {input = '2 * 3'}) "
        "return {ok = ok, output = ok and found.output or nil, err = not ok and tostring(found) or nil}"
    )
    found = ran(client, code)
    if output == "raised":
        assert not found["ok"]
        expected = "Tool 'nosuch' not found" if "redirect" in said else "Operation cancelled by hook: not today"
        assert found["err"] == expected
    else:
        assert found.get("output") == output


def test_a_call_can_be_redirected_to_another_tool_and_an_agent_s_to_another_agent(client: Client) -> None:
    code = (
        "Hook.register('BeforeToolExecution', function() return {type = 'redirect', target = 'text-manipulator'} end) "
        "return Tool.execute('calculator', {input = 'x', operation = 'uppercase'}).output"
    )
    assert ran(client, code) == "X"
    code = (
        "local one = Agent.create{name = 'one', model = 'mock/one'} Agent.create{name = 'two', model = 'mock/two'} "
        "Hook.register('BeforeAgentExecution', function(ctx) "
        "if ctx.data.agent == 'one' then return {type = 'redirect', target = 'two'} end end) return one:complete('hi')"
    )
    assert ran(client, code) == "[mock/two] hi"


def test_an_agent_s_tools_are_hooked_as_well_and_its_answer_can_be_replaced(client: Client) -> None:
    code = (
        "local tools = {} "
        "Hook.register('AfterToolExecution', function(ctx) tools[#tools + 1] = ctx.data.tool_name end) "
        "Hook.register('AfterAgentExecution', function() return {type = 'modified', data = {output = 'better'}} end) "
        "local a = Agent.create{name = 'ada', model = 'mock/a', tools = {'calculator'}} "
        """return {a:complete('call calculator {"input": "2+3"}'), tools[1]}"""
    )
    assert ran(client, code) == ["better", "calculator"]


def test_failed_work_is_tried_again(client: Client) -> None:
    code = (
        "local n = 0 Tool.register{name = 'shaky', description = 'd', execute = function() n = n + 1 return n end} "
        "Hook.register('AfterToolExecution', function(ctx) "
        "if ctx.data.result < 3 then return {type = 'retry', delay_ms = 1, max_attempts = 5} end end) "
        "return Tool.execute('shaky', {}).output"
    )
    assert ran(client, code) == 3


def test_hooks_do_not_call_themselves(client: Client) -> None:
    code = (
        "local n = 0 Hook.register('BeforeToolExecution', function() n = n + 1 "
        + CALL.replace("return ", "local x = ")
        + " end) "
        + CALL.replace("return ", "local y = ")
        + " return n"
    )
    assert ran(client, code) == 1


def test_what_hooks_print_is_the_script_s(client: Client) -> None:
    out, result = printed(client, "Hook.register('ToolValidation', function() print('seen') end) " + CALL)
    assert (out["stdout"], out["stderr"], result) == ("seen\n", "", 6)


BAD = {
    "raises": "error('broken')",
    "asks for what is refused": "return Tool.execute('nosuch', {})",
    "returns nonsense": "return 42",
    "never ends": "while true do end",
    "waits too long": "Utils.sleep(3600)",
    "leaves": "os.exit(3)",
    "needs too much memory": "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) end",
}


@pytest.mark.parametrize("what", BAD)
def test_a_hook_that_fails_leaves_the_work_done(client: Client, what: str) -> None:
    out, result = printed(client, f"Hook.register('BeforeToolExecution', function() {BAD[what]} end) {CALL}")
    assert result == 6
    assert "failed and is ignored" in out["stderr"]


def test_a_hook_that_nothing_stops_costs_its_script_and_nothing_else(client: Client) -> None:
    endless = "('a'):rep(3000):find('.-.-.-.-.-b')"
    with pytest.raises(WorkerCrashed):
        printed(client, f"Hook.register('BeforeToolExecution', function() {endless} end) {CALL}")
    assert ran(client, CALL) == 6


def test_after_five_failures_in_a_row_a_hook_is_off_which_is_told_once(client: Client) -> None:
    out, result = printed(
        client,
        "Hook.register('BeforeToolExecution', function() error('broken') end) "
        f"for _ = 1, 8 do local x = {CALL.removeprefix('return ')} end return Hook.list()[1]",
    )
    assert out["stderr"].count("failed and is ignored: test.lua:1: broken") == 5
    assert out["stderr"].count("is switched off: it failed 5 times in a row") == 1
    assert (result["enabled"], result["calls"], result["failures"]) == (False, 5, 5)


def test_a_hook_ends_with_its_handle_or_its_script(client: Client) -> None:
    code = (
        "local n = 0 local h = Hook.register('BeforeToolExecution', function() n = n + 1 end) "
        f"local x = {CALL.removeprefix('return ')} h:unregister() x = {CALL.removeprefix('return ')} "
        "return {n, #Hook.list(), h:unregister()}"
    )
    assert ran(client, code) == [1, 0, False]
    ran(client, "Hook.register('BeforeToolExecution', function() return 'no' end)")
    assert ran(client, CALL) == 6
    assert client.request("hook_request", {"action": "list"}).result().content["hooks"] == []


def test_a_script_s_hook_fires_for_no_other_script_s_work(client: Client) -> None:
    cell = {"code": "Hook.register('BeforeToolExecution', function() return 'mine' end)", "allow_stdin": False}
    client.request("execute_request", cell).result()
    try:
        assert ran(client, CALL) == 6
        invoke = {"action": "invoke", "tool": "calculator", "parameters": {"input": "6"}}
        assert client.request("tool_request", invoke).result().content["output"] == 6
        with pytest.raises(LlmspellError, match="Operation cancelled by hook: mine"):
            client.request("execute_request", {"code": CALL, "allow_stdin": False}).result()
        [hook] = client.request("hook_request", {"action": "list"}).result().content["hooks"]
        assert hook["hook_point"] == "BeforeToolExecution"
    finally:
        client.request("execute_request", {"code": "1"}, metadata={METADATA_KEY: {"reset": True}}).result()


def test_a_script_has_so_many_hooks_and_no_more(client: Client) -> None:
    code = (
        "for i = 1, 8 do Hook.register('custom:x', function() end) end "
        "return select(2, pcall(Hook.register, 'custom:x', function() end))"
    )
    assert "there are 8 hooks of this script already (hooks.max_hooks)" in ran(client, code)


def test_a_notebook_s_hook_hears_of_a_changed_configuration(home: Path) -> None:
    (home / "config.toml").write_text("[tools]\nrate_limit_per_minute = 50\n")
    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            hook = "function(ctx) heard[#heard + 1] = ctx.data.sections end"
            code = f"heard = {{}} Hook.register('ConfigurationChange', {hook})"
            client.request("execute_request", {"code": code, "allow_stdin": False}).result()
            (home / "config.toml").write_text("[tools]\nrate_limit_per_minute = 60\n")
            client.request("kernel_request", {"action": "reload_config"}).result()
            waiting = "while #heard == 0 do Event.receive(Event.subscribe('none'), 20) end return heard[1]"
            options = {METADATA_KEY: {"deltas": True}}
            done = client.request("execute_request", {"code": waiting, "allow_stdin": False}, metadata=options).result()
            assert done.content["result_repr"] == '{"tools"}' or done.content["result"] == ["tools"]
    finally:
        kernel.stop()


def test_a_script_s_hook_at_the_start_is_called_when_it_is_registered(client: Client) -> None:
    code = "local n = 0 Hook.register('SystemStartup', function(ctx) n = n + 1 end) Hook.list() Hook.list() return n"
    assert ran(client, code) == 1


def test_a_notebook_s_hook_hears_of_the_kernel_s_end(home: Path) -> None:
    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            following = client.request("event_request", {"action": "subscribe", "pattern": "bye"})
            next(iter(following))
            code = "Hook.register('SystemShutdown', function(ctx) Event.publish('bye', ctx.point) end)"
            client.request("execute_request", {"code": code, "allow_stdin": False}).result()
            client.request("kernel_request", {"action": "drain", "timeout_s": 30}, channel="control").result()
            [said] = [event.content["event"]["data"] for event in following if isinstance(event, Delta)]
            assert said == "SystemShutdown"
    finally:
        kernel.stop()


def test_caching_gives_a_script_nothing_that_another_was_granted(home: Path, tmp_path: Path) -> None:
    (home / "config.toml").write_text('[hooks]\nbuiltin = ["caching"]\ncaching.components = ["*"]\n')
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
        (place / "note.txt").write_text(place.name)

    def read(path: object) -> str:
        return f"return Tool.execute('file-operations', {{operation = 'read', path = '{path}'}}).text"

    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            secret = read(places[0] / "note.txt")
            grant = {"read": [str(tmp_path)]}
            assert [ran(client, secret, allow=grant) for _ in range(2)] == ["one", "one"]
            hits = "return Hook.get_stats().builtin.caching.hits"
            assert ran(client, hits) == 1
            with pytest.raises(LlmspellError, match="Permission denied"):
                ran(client, secret)
            assert [ran(client, read("note.txt"), cwd=str(place)) for place in places] == ["one", "two"]
    finally:
        kernel.stop()


def test_hooks_that_are_switched_off_say_so(home: Path) -> None:
    (home / "config.toml").write_text("[hooks]\nenabled = false\n")
    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            said = ran(client, "return select(2, pcall(Hook.register, 'ToolError', function() end))")
            assert "hooks are switched off" in said
    finally:
        kernel.stop()


def test_a_hook_of_the_configuration_hears_of_the_kernel_s_whole_life(home: Path) -> None:
    (home / "config.toml").write_text('[hooks]\nbuiltin = ["logging"]\n')
    kernel = KernelProcess()
    try:
        with kernel.client() as client:
            assert ran(client, CALL) == 6
            with pytest.raises(ScriptLimit):
                ran(client, "local t = {} while true do t[#t + 1] = ('x'):rep(1000000) end")
            (home / "config.toml").write_text('[hooks]\nbuiltin = ["logging"]\n[tools]\nrate_limit_per_minute = 60\n')
            client.request("kernel_request", {"action": "reload_config"}).result()
            client.request("kernel_request", {"action": "drain", "timeout_s": 30}, channel="control").result()
            kernel.wait()
    finally:
        kernel.stop()
    log = "\n".join(path.read_text() for path in (home / "logs").glob("kernel-*.log"))
    points = ("SystemStartup", "BeforeToolExecution", "AfterToolExecution", "ResourceLimitExceeded")
    for point in (*points, "ConfigurationChange", "SystemShutdown"):
        assert f"{point}: " in log, point


_CREATE = "Agent.create{name = 'ada', model = 'mock/a'}"
_SAID = f"{_CREATE}:complete('hi')"
_CHAT = "LocalLLM.chat{model = 'mock/a', prompt = 'hi'}.text"
_SUM = CALL.removeprefix("return ")
_FOUND = "#Tool.discover{tag = 'calculator'} > 0"
WRONG = [
    ("BeforeAgentInit", "model = 5", f"{_CREATE}:get_config().model", "mock/a"),
    ("BeforeAgentInit", "tools = 5", f"{_CREATE}.name", "ada"),
    ("BeforeAgentInit", "tools = {5}", f"{_CREATE}.name", "ada"),
    ("BeforeAgentInit", "name = 5", f"{_CREATE}.name", "ada"),
    ("BeforeAgentInit", "system_prompt = {1}", f"{_CREATE}.name", "ada"),
    ("BeforeAgentExecution", "input = 5", _SAID, "[mock/a] hi"),
    ("AfterAgentExecution", "output = 5", _SAID, "[mock/a] hi"),
    ("BeforeModelExecution", "messages = 5", _CHAT, "[mock/a] hi"),
    ("BeforeModelExecution", "messages = {5}", _CHAT, "[mock/a] hi"),
    ("BeforeModelExecution", "messages = {{role = 'user', content = 5}}", _CHAT, "[mock/a] hi"),
    ("BeforeModelExecution", "model = {1}", _CHAT, "[mock/a] hi"),
    ("BeforeModelExecution", "prompt = 5", _CHAT, "[mock/a] hi"),
    ("AfterModelExecution", "result = 5", _CHAT, "[mock/a] hi"),
    ("BeforeModelExecution", "input = 5", "#LocalLLM.embed({'a'}, {model = 'mock/a'})", 1),
    ("BeforeModelExecution", "input = {5}", "#LocalLLM.embed({'a'}, {model = 'mock/a'})", 1),
    ("BeforeToolExecution", "parameters = 5", _SUM, 6),
    ("BeforeToolExecution", "tool_name = 5", _SUM, 6),
    ("ToolValidation", "parameters = 5", _SUM, 6),
    ("BeforeToolDiscovery", "query = 5", _FOUND, True),
    ("BeforeToolDiscovery", "category = 5", _FOUND, True),
    ("BeforeStateWrite", "key = 5", "State.set('k', 1) == nil or State.get('k') == 1", True),
    ("BeforeStateRead", "scope = {1}", "State.get('none') == nil", True),
]


@pytest.mark.parametrize(("point", "data", "work", "result"), WRONG)
def test_what_no_client_could_ask_for_is_a_failure_of_the_hook_that_gave_it(
    client: Client, point: str, data: str, work: str, result: Any
) -> None:
    said = f"{{type = 'modified', data = {{{data}}}}}"
    out, found = printed(client, f"Hook.register('{point}', function() return {said} end) return {work}")
    assert f"at {point} failed and is ignored: " in out["stderr"]
    assert found == result


def test_a_hook_may_give_an_empty_table_for_an_empty_list(client: Client) -> None:
    said = "{type = 'modified', data = {tools = {}, description = 'd'}}"
    out, found = printed(
        client, f"Hook.register('BeforeAgentInit', function() return {said} end) return {_CREATE}.name"
    )
    assert (out["stderr"], found) == ("", "ada")


def test_an_answer_that_is_none_is_a_failure_of_the_hook(client: Client) -> None:
    said = "{type = 'replace', data = 5}"
    out, found = printed(client, f"Hook.register('BeforeAgentExecution', function() return {said} end) return {_SAID}")
    assert (
        "failed and is ignored: a hook returned something that is not a string as the input of an agent"
        in out["stderr"]
    )
    assert found == "[mock/a] hi"


LAPSED = {
    "of a function that failed": (
        "Hook.register('EventHandlerError', function() got = got or {{pcall(read)}} end) "
        "Event.subscribe('x', function() error('broken') end)",
        "Event.publish('x')",
    ),
    "of an event in the background": (
        "Hook.register('BeforeEventEmit', function(ctx) "
        "if ctx.data.event_type == 'tool.completed' then got = got or {{pcall(read)}} end end) "
        "Event.subscribe('none') Tool.execute('calculator', {{input = '6'}})",
        "",
    ),
}


@pytest.mark.parametrize("what", LAPSED)
def test_a_hook_that_no_request_waits_for_has_none_of_what_was_granted(
    client: Client, tmp_path: Path, what: str
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hidden")
    register, then = LAPSED[what]
    read = f"function read() return Tool.execute('file-operations', {{operation = 'read', path = '{secret}'}}).text end"
    code = f"got = nil {read} seen = read() {register.format()}"
    waiting = f"{then} while not got do Event.receive(Event.subscribe('wait'), 20) end return {{seen, got[1]}}"
    granting = {METADATA_KEY: {"allow": {"read": [str(tmp_path)]}}}
    try:
        client.request("execute_request", {"code": code, "allow_stdin": False}, metadata=granting).result()
        options = {METADATA_KEY: {"deltas": True}}
        done = client.request("execute_request", {"code": waiting, "allow_stdin": False}, metadata=options).result()
        assert done.content["result"] == ["hidden", False]
    finally:
        client.request("execute_request", {"code": "1"}, metadata={METADATA_KEY: {"reset": True}}).result()
