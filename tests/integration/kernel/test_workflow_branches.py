"""Conditions, branches and loops of workflows in a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.script_kernel import ran, script_kernel
from tests.support.workflow_scripts import ADD, AGENT, FAILS, custom


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("workflows")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


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
    "'input.nosuch > 1'": False,
    "'not (input.nosuch > 1)'": True,
    "'input.a.b.c == nil and #input.items == 0'": True,
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


def test_a_list_that_turns_out_to_be_empty_is_gone_over_in_no_round(client: Client) -> None:
    code = """
    local loop = { name = "none", body = { { name = "a", tool = "calculator", input = { input = "1" } } } }
    local found = {}
    for _, items in ipairs { "{{input.items}}", function() return {} end } do
      loop.items = items
      local result = Workflow.loop(loop):execute { items = {} }
      found[#found + 1] = { result.success, result.iterations }
    end
    return found
    """
    assert ran(client, code) == [[True, 0], [True, 0]]


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
    assert succeeded(", fail_fast = false") == (False, "bad", "Some steps failed: bad", 1)
    assert succeeded(", error_strategy = 'continue'") == (False, "bad", "Some steps failed: bad", 1)
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
