"""The global `Workflow` over a real kernel: steps of each type, and the values that they name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.script_kernel import ran, script_kernel
from tests.support.workflow_scripts import ADD, AGENT, custom, sequential


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("workflows")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


SHARES = "ctx.shared.list = {1} ctx.shared.gone = nil"
FINDS_SHARED = "table.insert(ctx.shared.list, 4) return ctx.shared.gone == nil"
SEES_STEPS = (
    "local a = ctx.steps.add return a.success and a.duration_ms >= 0 and a.result.result.result == 5 and a.output"
)
SEES_ALL = (
    "return ctx.previous == 5 and ctx.input.x == 1 and ctx.step_name == 'c' and #ctx.workflow_id > 10 "
    "and ctx.shared.y == 2 and 5"
)
STEPS = {
    "tool": f"return {sequential(ADD)}:execute().output",
    "tool without type": (
        "return Workflow.sequential{name = 'w', steps = {{name = 'a', tool = 'calculator', "
        "parameters = {input = '2 + 3'}}}}:execute().outputs.a"
    ),
    "params": (
        "return Workflow.sequential{name = 'w', steps = {{tool = 'calculator', params = {input = '5'}}}}"
        ":execute().outputs.step_1"
    ),
    "input by function": (
        "return Workflow.sequential{name = 'w', steps = {{name = 'a', tool = 'calculator', "
        "input = function(ctx) return {input = ctx.input.x .. ' + 1'} end}}}:execute({x = 4}).output"
    ),
    "agent": (
        AGENT + "local r = Workflow.sequential{name = 'w', steps = {{name = 's', type = 'agent', agent = 'ada', "
        "input = 'hello'}}}:execute() return r.outputs.s == 'hello' and r.metadata.extra.agent_outputs.ada == 'hello' "
        "and r._metadata.extra.agent_outputs.ada == 'hello' and 5"
    ),
    "agent object": (
        AGENT + "return Workflow.sequential{name = 'w', steps = {{name = 's', agent = ada, "
        "input = {prompt = 'hi'}}}}:execute().output == 'hi' and 5"
    ),
    "agent of the input's text": (
        AGENT + "return Workflow.sequential{name = 'w', steps = {{name = 's', agent = 'ada'}}}:execute('hi').output "
        "== 'hi' and 5"
    ),
    "agent of the output before": (
        AGENT + f"return Workflow.sequential{{name = 'w', steps = {{{ADD}, {{name = 's', agent = 'ada'}}}}}}"
        ":execute().output == '5' and 5"
    ),
    "agent of parameters alone": (
        AGENT + "return Workflow.sequential{name = 'w', steps = {{name = 's', type = 'agent', agent = 'ada', "
        "parameters = {topic = 'sea'}}}}:execute().output:match('sea') and 5"
    ),
    "agent that stands in the step": (
        "return Workflow.sequential{name = 'w', steps = {{name = 's', type = 'agent', agent = {type = 'basic'}, "
        "input = 'hi'}}}:execute().output == 'hi' and 5"
    ),
    "custom": f"return {sequential(custom('c', 'return {output = 5}'))}:execute().output",
    "custom value": f"return {sequential(custom('c', 'return 5'))}:execute().outputs.c",
    "custom by type function": (
        "return Workflow.sequential{name = 'w', steps = {{name = 'c', type = 'function', func = function() "
        "return {result = 5} end}}}:execute().output"
    ),
    "ctx.steps": (f"return {sequential(ADD, custom('c', SEES_STEPS))}:execute().output"),
    "ctx": (
        f"local w = {sequential(ADD, custom('c', SEES_ALL))} "
        "w:set_shared_data('y', 2) return w:execute({x = 1}).output"
    ),
    "shared data of a function": (
        f"local w = {sequential(custom('a', SHARES), custom('b', FINDS_SHARED))} w:set_shared_data('gone', 1) "
        "local r = w:execute() local list = w:get_shared_data('list') return r.output and list[1] + list[2]"
    ),
    "workflow": (
        f"local inner = {sequential(ADD)} return Workflow.sequential{{name = 'o', steps = {{"
        "{name = 'i', type = 'workflow', workflow = inner}}}:execute().outputs.i"
    ),
    "workflow by name": (
        f"local inner = {sequential(ADD)} return Workflow.sequential{{name = 'o', steps = {{"
        "{name = 'i', type = 'workflow', workflow = 'w', on_complete = function(r) seen = r.outputs.add end}}}"
        ":execute().success and seen"
    ),
    "workflow with the caller's input": (
        f"local inner = {sequential(custom('c', 'return ctx.input.x'))} return Workflow.sequential{{name = 'o', "
        "steps = {{name = 'i', type = 'workflow', workflow = inner}}}:execute{x = 5}.output"
    ),
    "parallel inside": (
        "local w = Workflow.sequential{name = 'o', steps = {{name = 'p', type = 'parallel', branches = {"
        f"{{name = 'left', steps = {{{ADD}}}}}, {{name = 'right', steps = {{{custom('c', 'return 1')}}}}}}}, "
        "on_complete = function(r) seen = r.branches.left.steps[1].output end}}} "
        "local r = w:execute() return r.outputs.p.right == 1 and seen"
    ),
    "loop inside": (
        "return Workflow.sequential{name = 'o', steps = {{name = 'l', type = 'loop', items = {1, 4}, body = "
        f"{custom('c', 'return ctx.current_item')}}}}}}}:execute().outputs.l + 1"
    ),
    "conditional inside": (
        "return Workflow.sequential{name = 'o', steps = {{name = 'c', type = 'conditional', condition = "
        "{type = 'never'},"
        f" then_branch = {{{custom('t', 'return 1')}}}, else_branch = "
        f"{{{custom('e', 'return 5')}}}}}}}}}:execute().output"
    ),
    "sequential inside sees the steps before": (
        f"return Workflow.sequential{{name = 'o', steps = {{{ADD}, {{name = 's', type = 'sequential', steps = {{"
        f"{custom('c', 'return ctx.steps.add.output')}}}}}}}}}:execute().output"
    ),
    "a ready workflow in a step of another type": (
        f"local inner = {sequential(ADD)} return Workflow.sequential{{name = 'o', steps = {{"
        "{name = 'i', type = 'sequential', workflow = inner}}}:execute().outputs.i"
    ),
}
"""Each gives 5."""


@pytest.mark.parametrize("form", STEPS)
def test_a_step_of_each_type_gives_its_output(client: Client, form: str) -> None:
    assert ran(client, STEPS[form]) == 5


AFTER = {
    "{{step:add:output}}": "{{step:add:output}}",
    "{{step.add.result}}": "{{step.add.result}}",
    "{{step.add.output}}": "{{step.add.output}}",
    "{{add.output}}": "{{add.output}}",
    "{{add}}": "{{add}}",
    "{{step:obj:output.a.b}}": "{{step:obj:output.a.b}}",
    "{{step:obj:output.list[1]}}": "{{step:obj:output.list[1]}}",
    "{{input.five}}": "{{input.five}}",
    "{{input:five}}": "{{input:five}}",
    "{{five}}": "{{five}}",
    "{{shared:five}}": "{{shared:fünf}}",
    "{{fünf}}": "{{fünf}}",
    "{{state:five}}": "{{state:five:of:state}}",
    "$add_output": "$add_output",
    "$add.output": "$add.output",
    "$input.five": "$input.five",
    "$obj.output.list[#input.items]": "$obj.output.list[#input.items]",
    "$previous_outputs.add": "$previous_outputs.add",
}
"""Each gives the integer 5 in a step's input."""


@pytest.mark.parametrize("placeholder", AFTER)
def test_a_placeholder_alone_keeps_the_type_of_its_value(client: Client, placeholder: str) -> None:
    given = f"input = {{v = [=[{AFTER[placeholder]}]=]}}}}"
    step = "{name = 'x', type = 'custom', execute = function(ctx) return ctx.parameters.v end, " + given
    obj = custom("obj", "return {output = {a = {b = 5}, list = {5}}}")
    value = ran(
        client,
        f"State.set('five:of:state', 5) local w = {sequential(ADD, obj, step)} "
        "w:set_shared_data('fünf', 5) local r = w:execute{five = 5, items = {1}} return r.output or r",
    )
    assert value == 5
    assert isinstance(value, int)


IN_TEXT = {
    "{{name}} is {{step:add:output}}": "ada is 5",
    "${{price}} for {{name:uppercase}}": "$7.5 for ADA",
    "{{name:substring:0:2:uppercase}}": "AD",
    "{{name:substring:1}}!": "da!",
    "{{blank:trim}}|{{name:lowercase}}": "x|ada",
    "{{date:format:YYYYMMDD}}": "20260102",
    "{{date:format:DD.MM.YYYY HH:mm}}": "02.01.2026 03:04",
    "{{obj}}": '{"a": 1}',
    "{{nosuch}} stays": "{{nosuch}} stays",
    "{{name:nosuch}}": "{{name:nosuch}}",
    "$5 and $HOME": "$5 and $HOME",
    "$HOME": "$HOME",
    "{{step:nosuch:output}}": "{{step:nosuch:output}}",
}


@pytest.mark.parametrize("text", IN_TEXT)
def test_placeholders_among_other_words_are_texts(client: Client, text: str) -> None:
    step = (
        f"{{name = 'x', type = 'custom', execute = function(ctx) return ctx.parameters.deep[1] end, "
        f"input = {{deep = {{[=[{text} ]=]}}}}}}"
    )
    given = "{name = 'ada', price = 7.5, blank = ' x ', date = '2026-01-02T03:04:05Z', obj = {a = 1}}"
    assert ran(client, f"local r = {sequential(ADD, step)}:execute({given}) return r.output") == IN_TEXT[text] + " "


def test_what_a_placeholder_puts_in_is_not_looked_at_again(client: Client) -> None:
    step = (
        "{name = 'x', type = 'custom', execute = function(ctx) return ctx.parameters.v end, input = {v = '{{evil}}'}}"
    )
    value = ran(client, f"return {sequential(ADD, step)}:execute({{evil = '{{{{step:add:output}}}}'}}).output")
    assert value == "{{step:add:output}}"


def test_an_unknown_placeholder_is_told_with_the_result(client: Client) -> None:
    step = "{name = 'x', type = 'custom', execute = function(ctx) return 1 end, input = {v = '{{nosuch}}'}}"
    warnings = ran(client, f"return {sequential(step)}:execute().metadata.warnings")
    assert warnings == ["step 'x': nothing is known by the placeholder '{{nosuch}}'; it was left as it is"]


def test_names_of_a_templates_own_context_are_left_to_the_tool(client: Client) -> None:
    step = (
        "{name = 't', tool = 'template-creator', input = {template = '{{greeting}} {{name}}', "
        "context = {name = 'Ada'}}}"
    )
    assert ran(client, f"return {sequential(step)}:execute({{greeting = 'Hi'}}).output") == "Hi Ada"
