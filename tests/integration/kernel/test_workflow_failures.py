"""Workflows whose steps fail, and who hears of it: strategies, callbacks, compensation, State, events and hooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmspell_protocol.client.sync import Client
from tests.support.script_kernel import ran, script_kernel
from tests.support.workflow_scripts import ADD, AGENT, FAILS, custom, sequential


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with script_kernel(tmp_path_factory.mktemp("workflows")) as connected:
        yield connected


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> None:
    """The tests share a kernel, which keeps its tool workers; `client` looks when it has ended."""


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
