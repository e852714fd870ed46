"""The global `Workflow` over a real kernel: the forms that scripts use, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.errors import LlmspellError, ScriptError
from tests.support.script_kernel import ran, script_kernel


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("workflows")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


ADD = "{name = 'add', type = 'tool', tool = 'calculator', input = {input = '2 + 3'}}"
FAILS = "{name = 'bad', type = 'tool', tool = 'calculator', input = {input = '1 / 0'}}"
AGENT = "local ada = Agent.builder():name('ada'):type('basic'):build() "


def custom(name: str, body: str, more: str = "") -> str:
    """A step that is a function of `ctx`."""
    return f"{{name = '{name}', type = 'custom', execute = function(ctx) {body} end{more}}}"


def sequential(*steps: str, more: str = "") -> str:
    return f"Workflow.sequential{{name = 'w', steps = {{{', '.join(steps)}}}{more}}}"


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


CONDITIONS = {
    "{type = 'always'}": True,
    "{type = 'never'}": False,
    "{type = 'custom', evaluate = function(ctx) return ctx.steps.add.output == 5 end}": True,
    "function(ctx) return ctx.input.x == 1 end": True,
    "{type = 'step_output_contains', step_name = 'add', substring = '5'}": True,
    "{type = 'step_output_contains', step_name = 'add', search_text = '6'}": False,
    "{type = 'step_output_equals', step_name = 'add', value = 5}": True,
    "{type = 'step_output_equals', step_name = 'add', expected_output = '5'}": True,
    "{type = 'step_output_equals', step_name = 'nosuch', value = 5}": False,
    "{type = 'shared_data_equals', key = 'k', value = 3}": True,
    "{type = 'shared_data_exists', key = 'k'}": True,
    "{type = 'shared_data_exists', key = 'nosuch'}": False,
    "{type = 'shared_data_exists', key = 'of_state'}": True,
    "{type = 'shared_data_equals', key = 'of_state', value = 'x'}": True,
    "{type = 'shared_data_greater_than', key = 'k', value = 2}": True,
    "{type = 'shared_data_less_than', key = 'k', value = 2}": False,
    "{type = 'shared_data_less_than', key = 'nosuch', value = 2}": False,
    "{type = 'not', condition = {type = 'shared_data_exists', key = 'nosuch'}}": True,
    "{type = 'and', conditions = {{type = 'always'}, {type = 'never'}}}": False,
    "{type = 'or', conditions = {{type = 'never'}, {type = 'always'}}}": True,
    "{type = 'agent_evaluates_true', agent = 'ada', prompt = 'Yes, it is'}": True,
    "{type = 'agent_evaluates_true', agent = 'ada', prompt = 'no'}": False,
    "{type = 'expression', expression = 'steps.add.output > 4'}": True,
    "'input.x == 2'": False,
    "'true'": True,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_chooses_the_branch(client: Client, condition: str) -> None:
    script = AGENT + (
        f"State.set('of_state', 'x') local w = Workflow.conditional{{name = 'w', pre_steps = {{{ADD}}}, "
        f"condition = {condition}, then_branch = {{{custom('t', 'return 1')}}}, else_branch = "
        f"{{{custom('e', 'return 2')}}}}} "
        "w:set_shared_data('k', 3) local r = w:execute{x = 1} return {r.branch_taken, r.output, r.data.branch_taken}"
    )
    wanted = ["then", 1, "then"] if CONDITIONS[condition] else ["else", 2, "else"]
    assert ran(client, script) == wanted


BRANCHES = (
    "branches = {{name = 'a', condition = 'input.n == 1', steps = {%s}}, {name = 'b', condition = "
    "'input.n < 3', steps = {%s}}}"
)
TWO = BRANCHES % (custom("a", "return 'A'"), custom("b", "return 'B'"))


def test_the_first_branch_that_fits_is_taken_or_all_or_the_default(client: Client) -> None:
    def taken(more: str, n: int) -> Any:
        found = ran(
            client,
            f"local r = Workflow.conditional{{name = 'w', {TWO}{more}}}:execute{{n = {n}}} "
            "return {r.branch_taken or 'none', r.output or 'none', r.matched_branches, "
            "r.metadata.extra.executed_branches, "
            "r.success}",
        )
        return tuple(found)

    assert taken("", 1) == ("a", "A", 1, 1, True)
    assert taken("", 2) == ("b", "B", 1, 1, True)
    assert taken("", 3) == ("none", "none", 0, 0, True)
    assert taken(", execute_all_matching = true", 1) == ("a", "B", 2, 2, True)
    default = f", default_branch = {{{custom('d', 'return [[D]]')}}}"
    assert taken(default, 3) == ("default", "D", 0, 1, True)
    assert taken(f", default = {custom('d', 'return [[D]]')}", 3) == ("default", "D", 0, 1, True)
    assert taken(f"{default}, execute_default_on_no_match = false", 3) == ("none", "none", 0, 0, True)


LOOPS = {
    "iterator.range": ("iterator = {range = {start = 1, ['end'] = 3, step = 1}}", [1, 2, 3], None),
    "range of a step": ("range = {start = 0, ['end'] = 1, step = 0.5}", [0, 0.5, 1], None),
    "backwards": ("range = {3, 1, -1}", [3, 2, 1], None),
    "iterator.collection": ("iterator = {collection = {'a', 'b'}}", ["a", "b"], None),
    "collection": ("collection = {'a'}", ["a"], None),
    "items": ("items = {{x = 1}}", [{"x": 1}], None),
    "collection by function": ("items = function(ctx) return {ctx.input.n, 2} end", [7, 2], None),
    "collection by placeholder": ("items = '{{input.list}}'", [4, 5], None),
    "while as text": ("iterator = {while_condition = 'iteration < 2'}", [1, 2], "condition_false"),
    "while as function": (
        "iterator = {while_condition = function(ctx) return ctx.iteration < 1 end}",
        [1],
        "condition_false",
    ),
    "max_iterations": ("items = {1, 2, 3}, max_iterations = 2", [1, 2], "max_iterations"),
    "max_iterations beside while": (
        "iterator = {while_condition = 'true', max_iterations = 2}",
        [1, 2],
        "max_iterations",
    ),
    "condition": ("items = {1, 2, 3}, condition = 'iteration < 1'", [1], "condition_false"),
    "break_condition": (
        "items = {1, 2, 3}, break_condition = function(ctx) return ctx.current_item == 2 end",
        [1, 2],
        "break_condition",
    ),
    "continue_condition": ("items = {1, 2, 3}, continue_condition = 'iteration < 1'", [1, 2], "break_condition"),
}


@pytest.mark.parametrize("form", LOOPS)
def test_a_loop_goes_over_its_values_and_says_what_ended_it(client: Client, form: str) -> None:
    keys, values, reason = LOOPS[form]
    script = (
        f"local r = Workflow.loop{{name = 'w', {keys}, body = {custom('c', 'return ctx.current_item')}}}"
        ":execute{n = 7, list = {4, 5}} "
        "return {r.success, r.iterations, r.iteration_outputs, r.break_reason or 'none', r.data.aggregated_results, "
        "r.data.completed_iterations, r.metadata.extra.total_iterations}"
    )
    count = len(values)
    assert ran(client, script) == [True, count, values, reason or "none", values, count, count]


def test_a_loops_state_is_changed_by_a_text_or_a_function_and_seen_by_conditions(client: Client) -> None:
    script = (
        "local r = Workflow.loop{name = 'w', iterator = {while_condition = 'not state.found', max_iterations = 9}, "
        "initial_state = {sum = 0, index = 1, items = {2, 3, 4}}, "
        "body = {{name = 'c', type = 'custom', execute = function(ctx) return ctx.parameters.item end, "
        "input = {item = '$state.items[state.index]', at = '$iteration'}}}, "
        "state_update = 'state.sum = state.sum + body_output; state.index = state.index + 1; "
        "state.found = state.index > #state.items'}:execute() return {r.final_state.sum, r.iterations, r.break_reason}"
    )
    assert ran(client, script) == [9, 3, "condition_false"]
    script = (
        f"local r = Workflow.loop{{name = 'w', range = {{1, 3}}, initial_state = {{n = 0}}, body = "
        f"{custom('c', 'return 2')}, "
        "state_update = function(ctx) ctx.state.n = ctx.state.n + ctx.body_output end}:execute() return r.final_state"
    )
    assert ran(client, script) == {"n": 6}


def test_a_loop_of_several_steps_gives_a_table_each_round_and_names_of_the_round(client: Client) -> None:
    script = (
        "local seen = {} local r = Workflow.loop{name = 'w', items = {{id = 'x'}, {id = 'y'}}, body = {"
        "{name = 'a', type = 'custom', input = {v = "
        "'{{loop:current_item.id}}-{{loop:current_index}}/{{loop:total_iterations}}'},"
        " execute = function(ctx) return ctx.parameters.v end}, "
        f"{custom('b', 'return ctx.steps.a.output .. ctx.total_iterations')}}}, "
        "on_iteration_complete = function(i, about) seen[#seen + 1] = i .. about.current_item.id .. "
        "about.steps.a.output end}"
        ":execute() return {r.iteration_outputs, seen}"
    )
    outputs, seen = ran(client, script)
    assert outputs == [{"a": "x-0/2", "b": "x-0/22"}, {"a": "y-1/2", "b": "y-1/22"}]
    assert seen == ["1xx-0/2", "2yy-1/2"]


def test_a_builders_loop_does_not_reach_its_end_and_knows_loop_value(client: Client) -> None:
    script = (
        "local w = Workflow.builder():name('w'):description('d'):loop():with_range(0, 3, 1):add_step("
        "{name = 'a', type = 'custom', execute = function(ctx) return ctx.parameters end, "
        "input = {'{{loop_value}}', '{{loop_index}}', '{{loop_item}}'}}):max_iterations(10):build() return "
        "w:execute().iteration_outputs"
    )
    assert ran(client, script) == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    script = (
        "return Workflow.builder().name('w').loop().with_collection({5}).add_step("
        f"{custom('a', 'return ctx.current_value')}).build().execute().output"
    )
    assert ran(client, script) == 5
    script = (
        f"return Workflow.builder():loop():with_while('iteration < "
        f"2'):add_step({custom('a', 'return 1')}):build():execute().iterations"
    )
    assert ran(client, script) == 2


def test_a_parallel_workflow_gives_its_branches_as_a_list_and_by_name(client: Client) -> None:
    script = (
        "local got, keys = {}, 0 local r = Workflow.parallel{name = 'w', max_concurrency = 2, branches = {"
        f"{{name = 'a', steps = {{{ADD}}}}}, {{name = 'b', steps = {{{custom('x', 'return 1')}, "
        f"{custom('y', 'return ctx.branch')}}}}}}}, post_steps = "
        f"{{{custom('p', 'return ctx.branch_results.a.output')}, "
        "{name = 'q', type = 'custom', input = {v = '{{branch:b:x:output}}'}, execute = function(ctx) "
        "return ctx.parameters.v end}}}"
        ":execute() for i, branch in ipairs(r.branches) do got[i] = branch.name end for _ in "
        "pairs(r.branches) do keys = keys + 1 end "
        "return {got, keys, #r.branches, r.branches.b.steps[2].output, r.branches.b.steps.x.output, "
        "r.branches[1].outputs.add, "
        "r.outputs, r.data, r.text, r.metadata.extra.total_branches}"
    )
    names, keys, count, y, x, add, outputs, data, text, total = ran(client, script)
    assert (names, keys, count, y, x, add, total) == (["a", "b"], 2, 2, "b", 1, 5, 2)
    assert outputs == {"add": 5, "x": 1, "y": "b", "p": 5, "q": 1}
    assert (data["executed_branches"], data["successful_branches"], data["failed_branches"]) == (2, 2, 0)
    assert text.startswith(
        "Parallel workflow 'w' completed successfully. 2 branches executed, 2 succeeded, 0 failed. Duration: "
    )


def test_each_step_of_a_builders_parallel_workflow_is_a_branch(client: Client) -> None:
    script = (
        f"local r = Workflow.builder():name('w'):parallel():max_concurrency(2):add_step({ADD})"
        f":add_step({custom('b', 'return 1')}):build():execute() "
        "return {r.branches.add.output, r.branches.b.output, #r.branches}"
    )
    assert ran(client, script) == [5, 1, 2]


def test_what_a_parallel_workflow_needs_of_its_branches(client: Client) -> None:
    def succeeded(more: str, **of: str) -> Any:
        branches = (
            f"{{name = 'good', steps = {{{ADD}}}{of.get('good', '')}}}, {{name = 'bad', steps = "
            f"{{{FAILS}}}{of.get('bad', '')}}}"
        )
        found = ran(
            client,
            f"local r = Workflow.parallel{{name = 'w', branches = {{{branches}}}{more}}}:execute() "
            "return {r.success, r.failed_step or 'none', r.error and r.error.message or 'none', "
            "r.data.failed_branches}",
        )
        return tuple(found)

    assert succeeded("")[:2] == (False, "bad")
    assert succeeded(", fail_fast = false") == (False, "none", "Some steps failed: bad", 1)
    assert succeeded(", error_strategy = 'continue'") == (False, "none", "Some steps failed: bad", 1)
    assert succeeded("", bad=", optional = true") == (True, "none", "none", 1)
    assert succeeded("", bad=", required = false") == (True, "none", "none", 1)
    assert succeeded(", success_criteria = 'any'") == (True, "none", "none", 1)
    assert succeeded(", success_criteria = function(branches) return branches.good.success end") == (
        True,
        "none",
        "none",
        1,
    )
    assert not succeeded(", success_criteria = function(branches) return branches[2].success end")[0]


def test_the_table_dialect_returns_a_failure_and_the_builder_raises_it(client: Client) -> None:
    after = custom("after", "ran_after = true")
    script = (
        f"local r = {sequential(FAILS, after)}:execute() return {{r.success, r.failed_step, "
        f"r.error.message, r.error.code ~= nil, "
        "'say: ' .. r.error, tostring(r.error):match('zero') or r.error:match('zero'), ran_after or 'no', "
        "r.text:find('completed successfully') or 'no', r.text, r.step_results.bad.success, r.partial_success}"
    )
    success, step, message, code, said, zero, ran_after, completed, text, step_success, partial = ran(client, script)
    assert (success, step, code, ran_after, completed, step_success, partial) == (
        False,
        "bad",
        True,
        "no",
        "no",
        False,
        False,
    )
    assert message.startswith("Step 'bad' failed: ")
    assert said == f"say: {message}"
    assert zero == "zero"
    assert text.startswith("Sequential workflow 'w' failed at step 'bad': ")
    script = (
        f"local w = Workflow.builder():name('w'):sequential():add_step({FAILS}):build() local ok, e = "
        f"pcall(w.execute, w) "
        "return {ok, e}"
    )
    ok, raised = ran(client, script)
    assert not ok
    assert raised.startswith("Workflow execution error: Step 'bad' failed: ")


def test_with_continue_the_rest_runs_and_both_dialects_return(client: Client) -> None:
    for workflow in (
        sequential(FAILS, ADD, more=", error_strategy = 'continue'"),
        f"Workflow.builder():name('w'):sequential():error_strategy('continue'):add_step({FAILS}):add_step({ADD}):build()",
    ):
        script = (
            f"local r = {workflow}:execute() return {{r.success, r.partial_success, r.error.message, r.outputs.add, "
            "r.data.steps_executed, r.metadata.extra.failed_steps, r.last_completed_step}"
        )
        assert ran(client, script) == [False, True, "Some steps failed: bad", 5, 2, 1, "add"]


def test_a_function_that_says_no_is_marked_but_no_failure(client: Client) -> None:
    script = (
        f"local r = {sequential(custom('no', 'return {success = false, error = [[busy]]}'), ADD)}:execute() "
        "return {r.success, r.step_results.no.success, r.step_results.no.error.message, r.outputs.add}"
    )
    assert ran(client, script) == [True, False, "busy", 5]


def test_a_step_that_raises_fails_with_its_place(client: Client) -> None:
    raising = custom("r", "error('boom')")
    script = f"local r = {sequential(raising)}:execute() return r.error.message"
    assert ran(client, script) == "Step 'r' failed: test.lua:1: boom"


def test_a_step_is_tried_again_and_says_so(client: Client) -> None:
    trying = custom(
        "t",
        "n = (n or 0) + 1 if n < 3 then error('not yet') end return n",
        ", retry_count = 3, retry_delay_ms = 1, on_retry = function(attempt, err) said = attempt .. err.message end",
    )
    script = f"local r = {sequential(trying)}:execute() return {{r.output, r.step_results.t.retry_count, said}}"
    assert ran(client, script) == [3, 2, "2test.lua:1: not yet"]
    strategy = ", error_strategy = {type = 'retry', max_attempts = 2, backoff_ms = 1, backoff_multiplier = 2}"
    raising = custom("t", "n = (n or 0) + 1 error('no')")
    assert ran(client, f"local r = {sequential(raising, more=strategy)}:execute() return {{n, r.success}}") == [
        2,
        False,
    ]


def test_what_can_never_succeed_is_not_tried_again(client: Client) -> None:
    missing = "{name = 'x', tool = 'nosuch', input = {}, retries = 5, on_retry = function() again = true end}"
    script = f"local r = {sequential(missing)}:execute() return {{again or false, r.error.message}}"
    assert ran(client, script) == [False, "Step 'x' failed: Tool 'nosuch' not found"]


def test_on_error_may_put_a_result_in_the_place_of_a_failure_or_try_once_more(client: Client) -> None:
    fixed = (
        FAILS[:-1] + ", on_error = function(err, name) return {output = name .. (err.message:match('zero') or '')} end}"
    )
    assert ran(client, f"local r = {sequential(fixed)}:execute() return {{r.success, r.output}}") == [True, "badzero"]
    once = custom(
        "t",
        "n = (n or 0) + 1 if n < 2 then error('x') end return n",
        ", on_error = function() return {retry = true} end",
    )
    assert ran(client, f"return {sequential(once)}:execute().output") == 2
    of_all = ", on_error = function(err, name) seen = name end"
    assert ran(client, f"local r = {sequential(FAILS, more=of_all)}:execute() return {{seen, r.success}}") == [
        "bad",
        False,
    ]


def test_the_callbacks_are_called_in_order_with_what_they_are_told(client: Client) -> None:
    step = (
        "{name = 's', tool = 'calculator', input = {input = '5'}, setup = function() say('setup') end, "
        "before_execute = function(ctx) say('before ' .. ctx.input.input) end, "
        "after_execute = function(r) say('after ' .. r.output) end, on_complete = function(r) "
        "say('complete ' .. r.output) end, "
        "trace = function(ms) say('trace ' .. type(ms)) end}"
    )
    more = (
        ", on_start = function() say('start') end, on_step_start = function(n) say('step ' .. n) end, "
        "on_step_complete = function(n, r) say('done ' .. n .. r.output) end, "
        "on_complete = function(ok, r) say('end ' .. tostring(ok) .. r.output) end"
    )
    script = (
        f"local said = {{}} function say(text) said[#said + 1] = text end local w = {sequential(step, more=more)} "
        "w:on_before_execute(function(about) say('object ' .. about.workflow) end) "
        "w:on_after_execute(function(r) say('after all ' .. r.output) end) w:execute() return said"
    )
    assert ran(client, script) == [
        "object w",
        "start",
        "step s",
        "setup",
        "before 5",
        "after 5",
        "complete 5",
        "trace number",
        "done s5",
        "end true5",
        "after all 5",
    ]


def test_the_other_kinds_complete_with_the_result_alone(client: Client) -> None:
    script = (
        f"Workflow.loop{{name = 'w', items = {{1}}, body = {ADD}, on_complete = function(r) seen = "
        f"r.iterations end}}:execute() return seen"
    )
    assert ran(client, script) == 1


def test_finished_steps_are_compensated_newest_first_when_the_workflow_fails(client: Client) -> None:
    def step(name: str) -> str:
        return custom(
            name,
            f"return '{name}'",
            ", compensate = function(ctx) undone[#undone + 1] = ctx.output .. ctx.step_name end",
        )

    inner = f"{{name = 'in', type = 'sequential', steps = {{{step('c')}}}}}"
    script = (
        f"undone = {{}} local r = {sequential(step('a'), step('b'), inner, FAILS, step('d'))}:execute() return undone"
    )
    assert ran(client, script) == ["cc", "bb", "aa"]
    assert ran(client, f"undone = {{}} {sequential(step('a'))}:execute() return undone") == {}
    kept = sequential(step("a"), FAILS, more=", error_strategy = 'continue'")
    assert ran(client, f"undone = {{}} {kept}:execute() return undone") == {}


def test_steps_are_skipped_by_their_conditions(client: Client) -> None:
    never = ADD[:-1] + ", condition = {type = 'never'}}"
    skipped = custom("b", "return 1", ", skip_if = function() return true end")
    wanted = custom("c", "return ctx.steps.add.success and 5", ", when = 'true'")
    script = (
        f"local r = {sequential(never, skipped, wanted)}"
        ":execute() return {r.success, r.step_results.add.skipped, r.step_results.b.skipped, r.outputs, "
        "r.data.steps_executed}"
    )
    assert ran(client, script) == [True, True, True, {"c": 5}, 1]


def test_nothing_runs_without_the_precondition(client: Client) -> None:
    script = (
        f"local r = {sequential(custom('a', 'ran = true'), more=', pre_condition = {type = [[never]]}')}:execute() "
        "return {r.success, r.skipped, r.error.message, ran or false}"
    )
    assert ran(client, script) == [False, True, "Precondition not met", False]


def test_a_step_and_a_workflow_have_time_limits(client: Client) -> None:
    slow = custom("slow", "Utils.sleep(60)", ", timeout_ms = 50")
    script = f"local r = {sequential(slow)}:execute() return {{r.success, r.error.message}}"
    assert ran(client, script) == [False, "Step 'slow' failed: Step 'slow' timed out after 0.05s"]
    more = ", timeout_ms = 50, on_timeout = function() told = true end"
    script = (
        f"local r = {sequential(ADD, custom('slow', 'Utils.sleep(60)'), more=more)}:execute() return "
        f"{{told, r.error.message, r.outputs}}"
    )
    told, message, _outputs = ran(client, script)
    assert told
    assert message == "Workflow 'w' timed out after 0.05s"


def test_a_run_is_written_to_state(client: Client) -> None:
    script = (
        AGENT + f"local r = Workflow.sequential{{name = 'w', steps = {{{ADD}, {{name = 's', agent = 'ada', input "
        f"= 'hi'}}}}}}:execute() "
        "local id = r.metadata.extra.execution_id "
        "return {State.workflow_get(id, 'add').output, State.load('custom', ':workflow:' .. id .. ':s').output, "
        "State.load('workflow:' .. id, 'agent:ada:output'), State.load('workflow:' .. id, 'step:calculator:output'), "
        "#State.workflow_list(id)}"
    )
    assert ran(client, script) == [5, "hi", "hi", 5, 4]


def test_events_and_hooks_hear_of_every_step(client: Client) -> None:
    script = (
        "local all = Event.subscribe('workflow.*') local seen, points = {}, {} "
        "for _, point in ipairs{'BeforeWorkflowStart', 'BeforeWorkflowStage', 'AfterWorkflowStage', "
        "'WorkflowStageTransition', 'AfterWorkflowComplete', 'WorkflowError'} do "
        "Hook.register(point, function(c) points[#points + 1] = point .. ':' .. (c.data.step or c.data.to "
        "or '') end) end "
        f"{sequential(ADD, FAILS)}:execute() while true do local e = Event.receive(all, 0) if not e then break end "
        "seen[#seen + 1] = e.event_type .. ':' .. (e.data.step or '') end return {seen, points}"
    )
    seen, points = ran(client, script)
    assert seen == [
        "workflow.started:",
        "workflow.step.started:add",
        "workflow.step.completed:add",
        "workflow.step.started:bad",
        "workflow.step.failed:bad",
        "workflow.failed:bad",
    ]
    assert points == [
        "BeforeWorkflowStart:",
        "BeforeWorkflowStage:add",
        "AfterWorkflowStage:add",
        "WorkflowStageTransition:bad",
        "BeforeWorkflowStage:bad",
        "AfterWorkflowStage:bad",
        "WorkflowError:bad",
        "AfterWorkflowComplete:",
    ]


def test_a_hook_may_skip_replace_change_or_cancel_a_step(client: Client) -> None:
    def hooked(said: str, wanted: str) -> Any:
        return ran(
            client,
            (
                f"Hook.register('BeforeWorkflowStage', function(c) return {said} end) local r = "
                f"{sequential(ADD)}:execute() return {wanted}"
            ),
        )

    assert hooked("'skip'", "r.step_results.add.skipped") is True
    assert hooked("{type = 'replace', data = 7}", "r.outputs.add") == 7
    assert hooked("{type = 'modified', data = {input = {input = '4 + 4'}}}", "r.outputs.add") == 8
    assert "cancelled by hook: why" in hooked("{type = 'cancel', reason = 'why'}", "r.error.message")


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
    "Workflow.sequential{steps = {{name = 'a', type = 'custom'}}}": "needs 'execute', a function",
    "Workflow.loop{body = {}, items = {1}, aggregation_strategy = 'x'}": "aggregation_strategy",
    "Workflow.sequential{steps = {}, error_strategy = 'x'}": "not fail_fast, continue or retry",
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
