"""The functions of `Workflow` and of its objects, what they refuse, and JSON."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ScriptError
from tests.support.script_kernel import ran, script_kernel
from tests.support.workflow_scripts import ADD, AGENT, FAILS, custom, sequential


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("workflows")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


GLOBAL = {
    "execute": f"return Workflow.execute({sequential(ADD)}).output",
    "execute of a table": f"return Workflow.execute({{type = 'sequential', name = 'w', steps = {{{ADD}}}}}).output",
    "execute with input": (
        f"return Workflow.execute({sequential(custom('c', 'return ctx.input.x'))}, {{input = {{x = 5}}}}).output"
    ),
    "list of types": "local l = Workflow.list() return #l == 4 and l[1].features[1] == 'steps' and 5",
    "list": (
        f"{sequential(ADD)} local l = Workflow.list() return #l == 1 and l[1].name == 'w' and l[1].type "
        f"== 'sequential' and 5"
    ),
    "types": "return #Workflow.types() + 1",
    "discover_types": "return #Workflow.discover_types() + 1",
    "register, get, remove": (
        f"local id = Workflow.register('sequential', {{name = 'w', steps = {{{ADD}}}}}) local w = Workflow.get(id) "
        "return w:execute().output == 5 and Workflow.remove(id) and not Workflow.remove(id) and "
        "Workflow.get(id) == nil and 5"
    ),
    "clear": f"{sequential(ADD)} Workflow.clear() return Workflow.get('w') == nil and 5",
    "sequential without a table": f"return Workflow.sequential():name('w'):add_step({ADD}):build():execute().output",
    "fields": (
        f"local w = {sequential(ADD)} return w.name == 'w' and w.type == 'sequential' and "
        f"w.id:match('^workflow_') and #w.config.steps == 1 and 5"
    ),
    "get_info": f"local i = {sequential(ADD)}:get_info() return i.step_count == 1 and i.type == 'sequential' and 5",
    "outputs of the last run": (
        f"local w = {sequential(ADD)} w:execute() return w:get_all_outputs().add == 5 and w:list_outputs()[1] == 'add' "
        "and #w:get_execution_id() == 36 and w:get_status() == 'completed' and w:get_output('add')"
    ),
    "clear_outputs": (
        f"local w = {sequential(ADD)} w:execute() return w:clear_outputs().deleted == 1 and "
        f"w:get_output('add') == nil and 5"
    ),
    "before a run": (
        f"local ok, e = pcall(function() return {sequential(ADD)}:get_output('add') end) "
        "return not ok and e:match('No workflow execution found. Run execute%(%) first.') and 5"
    ),
    "validate": (
        f"local v = {sequential(ADD)}:validate() local e = Workflow.sequential{{steps = "
        f"{{}}}}:validate() return v.valid and not e.valid and #e.errors == 1 and 5"
    ),
    "emit": (
        f"local s = Event.subscribe('mine') {sequential(ADD)}:emit('mine', {{x = 5}}) return "
        f"Event.receive(s, 1000).data.x"
    ),
    "debug": f"return {sequential(ADD)}:debug():match('sequential') and 5",
    "execute_async": f"return {sequential(ADD)}:execute_async().output",
    "on_error of the object": (
        f"local w = {sequential(FAILS)} w:on_error(function(e) seen = e.message end) "
        f"w:execute() return seen:match('bad') and 5"
    ),
    "dots": f"local w = {sequential(ADD)} return w.execute().output",
}


@pytest.mark.parametrize("form", GLOBAL)
def test_a_function_of_workflow_or_of_an_object_works(client: Client, form: str) -> None:
    assert ran(client, GLOBAL[form]) == 5


WRONG = {
    "Workflow.builder():build()": "Workflow type not specified",
    "Workflow.sequential{steps = {{name = 'a', type = 'nosuch'}}}": (
        "Unknown step type: 'nosuch'. Supported types: tool, agent, workflow, custom, parallel, "
        "conditional, loop, sequential"
    ),
    "Workflow.sequential{steps = {{name = 'a', tool = 't'}, {name = 'a', tool = 't'}}}": "two steps with the name 'a'",
    "Workflow.sequential{steps = {{name = 'a', tool = 't', retrys = 3}}}": "step 'a' has no setting 'retrys'",
    "Workflow.sequential{steps = {{name = 'a', tol = 't'}}}": "step 'a' has no setting 'tol'",
    "Workflow.sequential{name = 'w', stps = {}}": "workflow 'w' has no setting 'stps'",
    "Workflow.sequential{name = 'w', steps = {}, timeout = 5}": "workflow 'w' has no setting 'timeout'",
    "Workflow.sequential{steps = {{name = 'a', type = 'custom'}}}": "needs 'execute', a function",
    "Workflow.loop{body = {}, items = {1}, aggregation_strategy = 'x'}": "aggregation_strategy",
    "Workflow.sequential{steps = {}, error_strategy = 'x'}": "must be fail_fast, continue or retry, not 'x'",
    "Workflow.sequential{steps = {}, pre_condition = {type = 'x'}}": "unknown condition type 'x'",
    "Workflow.builder():sequential():build():execute()": "Cannot execute workflow without steps",
    "Workflow.builder():loop():with_collection({}):add_step({tool = 't'}):build():execute()": (
        "Collection iterator cannot be empty"
    ),
    "Workflow.builder():loop():with_range(3, 1):add_step({tool = 't'}):build():execute()": (
        "Range configuration will not iterate"
    ),
    "Workflow.sequential{steps = {{name = 'a', tool = 't', input = JSON.parse('{\"$fn\": 1}')}}}": (
        "can't have the key '$fn'"
    ),
    'Workflow.from_json(\'{"type": "sequential", "steps": [{"execute": {"$fn": 1}}]}\')': "can't have the key '$fn'",
    "Workflow.execute(5)": "bad argument #1 to 'Workflow.execute'",
    "Workflow.resume('nosuch')": "can be resumed",
}


@pytest.mark.parametrize("script", WRONG)
def test_what_makes_no_sense_is_refused_in_words(client: Client, script: str) -> None:
    with pytest.raises(ScriptError) as caught:
        ran(client, script)
    assert WRONG[script] in caught.value.message


def test_a_table_workflow_without_steps_returns_why(client: Client) -> None:
    assert (
        ran(client, "return Workflow.sequential{steps = {}}:execute().error.message")
        == "Cannot execute workflow without steps"
    )


def test_a_workflow_goes_to_json_and_back(client: Client) -> None:
    script = (
        AGENT + f"local w = Workflow.sequential{{name = 'w', steps = {{{ADD}, {{name = 's', agent = ada, input = "
        f"'{{{{add.output}}}}'}}}}}} "
        "local text = Workflow.to_json(w) ada:destroy() local back = Workflow.from_json(text) "
        "return {back:execute().output, Workflow.to_json(back) == text}"
    )
    assert ran(client, script) == ["5", True]
    with pytest.raises(ScriptError, match="which JSON can't hold"):
        ran(client, f"Workflow.to_json({sequential(custom('c', 'return 1'))})")


def test_expressions_reach_nothing_and_end(client: Client) -> None:
    def said(expression: str) -> str:
        script = (
            f"local r = Workflow.conditional{{name = 'w', condition = [=[{expression}]=], then_branch = "
            f"{{{ADD}}}}}:execute() "
            "return r.error and r.error.message or r.branch_taken or 'none'"
        )
        return str(ran(client, script))

    for name in ("os", "io", "require", "load", "getmetatable", "debug", "Tool", "State", "_G", "pcall", "coroutine"):
        assert said(name) == "none", name
    assert said("string.dump") == "none"
    assert "in 'input.n + 1 > 2': attempt to perform arithmetic on a nil value" in said("input.n + 1 > 2")
    assert said("input.n >").endswith("in 'input.n >': unexpected symbol near <eof>")
    assert ran(client, "return {pcall(function() return nil < 1 end)}")[0] is False
    assert "computes for too long" in said("(function() while true do end end)()")
    assert "attempt to" in said("1 + {}")


def test_a_client_without_a_script_runs_a_definition_and_hears_of_its_steps(client: Client) -> None:
    definition = {
        "type": "loop",
        "name": "w",
        "iterator": {"while_condition": "iteration < 2"},
        "steps": [{"name": "add", "tool": "calculator", "input": {"input": "{{loop:current_index}} + 1"}}],
    }
    pending = client.request("workflow_request", {"action": "execute", "definition": definition})
    told = [(event.content["event"], event.content["path"]) for event in pending]
    reply = pending.result(60).content
    assert reply["result"]["iteration_outputs"] == [1, 2]
    assert told[:4] == [
        ("workflow_started", []),
        ("iteration_started", ["round_0"]),
        ("step_started", ["round_0", "step", "add"]),
        ("step_completed", ["round_0", "step", "add"]),
    ]
    assert told[-1] == ("workflow_completed", [])
    with pytest.raises(LlmspellError, match="functions can be given by scripts only"):
        client.request(
            "workflow_request",
            {"action": "create", "definition": {"type": "sequential", "steps": [{"execute": {"$fn": 1}}]}},
        ).result(20)
