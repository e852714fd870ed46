"""The global `Tool` over a real kernel and real tool workers: the forms that scripts use, and their own tools."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.services.graph import Services
from llmspell_kernel.services.tools.registered import RegisteredTools
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.areas.tool import ToolRegister
from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ScriptError
from llmspell_protocol.messages import METADATA_KEY
from tests.support.kernels import KernelProcess
from tests.support.script_kernel import ran, script_kernel

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("tools")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


FORMS = {
    "Tool.execute": "return Tool.execute('calculator', {input = '2 + 3 * 4'}).result.result",
    "tool:execute": "return Tool.get('calculator'):execute({operation = 'evaluate', input = '14'}).output",
    "tool.execute": "return Tool.get('calculator').execute({input = '14'}).result.result",
    "Tool.create": (
        "local tool = Tool.create('calculator') "
        "return tool:execute({parameters = {operation = 'evaluate', expression = '2 + 3 * 4'}}).result.result"
    ),
    "variables": "return Tool.execute('calculator', {input = 'x ^ 2 - y', variables = {x = 4, y = 2}}).output",
    "underscores": "return Tool.execute('Calculator_Tool', {input = '14'}).output",
    "success": "local r = Tool.execute('calculator', {input = '14'}) return r.success ~= false and r.output",
    "text": "local r = Tool.execute('calculator', {input = '14'}) return r and r.text and tonumber(r.text)",
    "index": "return Tool.calculator:execute{input = '14'}.output",
    "list": (
        "local names = {} for _, tool in ipairs(Tool.list()) do names[tostring(tool)] = tool.category end "
        "return names.calculator == 'utility' and 14"
    ),
    "exists": "return Tool.exists('calculator') and not Tool.exists('nosuch') and 14",
    "global": "return Tool ~= nil and type(Tool.get) == 'function' and Tools == Tool and 14",
    "pcall": (
        "local ok, err = pcall(Tool.execute, 'calculator', {operation = 'evaluate'}) "
        "return not ok and err:match('expression') and err:find('required') and 14"
    ),
    "not found": "local ok, err = pcall(Tool.execute, 'nosuch') return err:match(\"Tool 'nosuch' not found\") and 14",
    "failure": (
        "local r = Tool.execute('calculator', {input = '1 / 0'}) "
        "return (r.success == false or r.error) and ('Error: ' .. r.error):match('zero') and 14"
    ),
    "time": "return 14 + 0 * Tool.execute('calculator', {input = '1'}).metadata.execution_time_ms",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_the_field_works(client: Client, form: str) -> None:
    assert ran(client, FORMS[form]) == 14


def test_an_error_that_is_not_caught_has_its_code_and_hint(client: Client) -> None:
    with pytest.raises(ScriptError) as caught:
        ran(client, "local x = 1\nTool.execute('calculater', {})")
    assert caught.value.message == "test.lua:2: Tool 'calculater' not found"
    assert caught.value.hint == "did you mean 'calculator'?"


def test_a_script_calls_its_own_tool_while_it_waits_for_it(client: Client) -> None:
    code = """
        local calls = 0
        local tool = Tool.register{
          name = "team/double", description = "Doubles a number.", parameters = "x number",
          execute = function(p)
            calls = calls + 1
            return {value = Tool.execute("calculator", {input = p.x .. " * 2"}).output}
          end,
        }
        local first = Tool.execute("team/double", {x = 4})
        local second = tool:execute{x = first.result.value}
        return {second.result.value, calls, first.success, tool.schema.parameters[1].name, second.text}
    """
    assert ran(client, code) == [16, 2, True, "x", '{"value": 16}']


def test_own_tools_call_each_other(client: Client) -> None:
    code = """
        local function register(name, execute)
          Tool.register{name = name, description = name, execute = execute}
        end
        register("down", function(p)
          return p.n == 0 and "end" or Tool.execute("down", {n = p.n - 1}).result
        end)
        return Tool.execute("down", {n = 5}).result
    """
    assert ran(client, code) == "end"


def test_what_an_own_tool_raises_is_its_no(client: Client) -> None:
    code = """
        Tool.register{name = "bad", description = "Fails.", execute = function() error("no way") end}
        local r = Tool.execute("bad")
        return {r.success, tostring(r.error), r.error.code}
    """
    assert ran(client, code) == [False, "test.lua:2: no way", "script_error"]


def test_an_own_tool_stands_before_the_one_that_has_its_name(client: Client) -> None:
    code = """
        Tool.register{name = "calculator", description = "Always 7.", execute = function() return 7 end}
        local own = Tool.execute("calculator").result
        assert(Tool.get("calculator").source == "script")
        assert(Tool.unregister("calculator") and not Tool.unregister("calculator"))
        return {own, Tool.execute("calculator", {input = "8"}).output}
    """
    assert ran(client, code) == [7, 8]


def test_a_tool_ends_with_its_script(client: Client) -> None:
    ran(client, "Tool.register{name = 'gone', description = 'd', execute = function() end}")
    assert ran(client, "return Tool.exists('gone')") is False


OTHERS = """
Tool.register{name = "calculator", description = "Always 7.", execute = function() return 7 end}
Tool.register{
  name = "team/read", description = "Reads for others.", parameters = "path",
  execute = function(p)
    local r = Tool.execute("file-operations", {operation = "read", path = p.path})
    return r.text
  end,
}
Tool.register{
  name = "team/ask", description = "Asks for a line.",
  execute = function() return tostring(io.read()) end,
}
print("ready")
Utils.sleep(600)
"""


@pytest.fixture
def others(client: Client) -> Iterator[None]:
    """Another script of this client's waits, whose functions are tools."""
    content = {"code": OTHERS, "allow_stdin": False}
    script = client.request("execute_request", content, metadata={METADATA_KEY: {"isolated": True}})
    next(iter(script))
    yield
    script.cancel()


def test_a_script_takes_no_tool_s_place_for_others(client: Client, others: None) -> None:
    code = "return {Tool.execute('calculator', {input = '8'}).output, Tool.get('calculator').source}"
    assert ran(client, code) == [8, "builtin"]


def test_another_script_s_tool_has_nothing_of_what_its_caller_was_granted(client: Client, others: None) -> None:
    hidden = "/proc/self/status"
    granted: dict[str, Any] = {"allow": {"read": [hidden]}}
    own = f"return Tool.execute('file-operations', {{operation = 'read', path = '{hidden}'}}).success"
    assert ran(client, own, **granted) is True
    code = f"local r = Tool.execute('team/read', {{path = '{hidden}'}}) return {{r.success, tostring(r.error)}}"
    success, error = ran(client, code, **granted)
    assert success is False
    assert "needs the permission to read files" in error


def test_another_script_s_tool_asks_no_person(client: Client, others: None) -> None:
    asked: list[str] = []

    def answer(prompt: str, password: bool) -> str | None:
        asked.append(prompt)
        return "secret"

    content = {"action": "invoke", "tool": "team/ask", "parameters": {}, "allow_stdin": True}
    reply = client.request("tool_request", content, on_input=answer).result(20).content
    assert (reply["result"], asked) == ("nil", [])


def test_tools_of_scripts_are_seen_with_the_same_key_alone(home: Path) -> None:
    def seen(tools: RegisteredTools, key_id: str) -> list[str]:
        return list(tools.of_others(Caller("client", "session", key_id=key_id)))

    services = Services(Settings, home, os.environ, lambda request: pytest.fail("nothing is asked for"))
    tools = RegisteredTools(services.contexts)
    script = Caller("script", "session", kind="script", key_id="one", context="isolated-1")
    tools.register(
        ToolRegister(name="own", description="d", execute={"$fn": 1}), ScriptFunction("isolated-1", 1), script
    )
    assert (seen(tools, "one"), seen(tools, "two")) == (["own"], [])


def test_a_batch_gives_every_output_in_its_place(client: Client) -> None:
    code = """
        local calls = {}
        for i = 1, 5 do
          calls[i] = {name = "calculator", params = {input = i .. " * 10"}}
        end
        calls[6] = {name = "nosuch"}
        local texts = {}
        for i, output in ipairs(Tool.batch(calls)) do
          texts[i] = output.text or tostring(output.error)
        end
        return texts
    """
    assert ran(client, code) == ["10", "20", "30", "40", "50", "Tool 'nosuch' not found"]


def test_tools_that_are_switched_off_say_so(tmp_path: Path, home: Path) -> None:
    (tmp_path / "off.toml").write_text("[tools]\nenabled = false\n")
    kernel = KernelProcess(["--config", str(tmp_path / "off.toml")])
    with kernel.client() as client:
        with pytest.raises(LlmspellError, match="Security violation: tools are switched off"):
            ran(client, "return Tool.execute('calculator', {input = '1'})")
        assert ran(client, "return Tool.exists('calculator')") is True
    kernel.stop()
