"""What the model of workflows leaves out: pauses between tries, limits of time, results that are too large, nesting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from llmspell_kernel.services.weight import Budget, weight
from llmspell_kernel.services.workflows import pace
from llmspell_kernel.services.workflows.checkpoints import digest_of
from llmspell_kernel.services.workflows.parsing import parse
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from tests.support.virtual_time import run_in_virtual_time
from tests.support.workflow_bench import Failing, WorkflowBench


def bench(body: Callable[[WorkflowBench], Awaitable[None]]) -> None:
    """A bench with tools: `say` gives its `value`, `slow` takes `seconds`, `fail` says no, `raise` is not there."""
    made = WorkflowBench()

    async def say(arguments: Mapping[str, Any]) -> Any:
        return arguments.get("value")

    async def slow(arguments: Mapping[str, Any]) -> Any:
        await asyncio.sleep(arguments["seconds"])
        return "slept"

    async def fail(arguments: Mapping[str, Any]) -> Any:
        raise Failing("no")

    made.tools.acts |= {"say": say, "slow": slow, "fail": fail}

    async def run() -> None:
        await body(made)

    run_in_virtual_time(run())


def step(name: str, tool: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "tool": tool, "input": {}, **more}


def sequential(*steps: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "sequential", "name": "w", "steps": list(steps), **more}


@pytest.mark.parametrize(
    ("strategy", "pauses"),
    [
        ({"type": "retry", "max_attempts": 4, "backoff_ms": 1000, "backoff_multiplier": 3}, [1, 3, 9]),
        ({"type": "retry", "max_attempts": 3, "backoff_ms": 100}, [0.1, 0.2]),
        ("retry", [1, 1]),
        ({"type": "retry", "max_attempts": 3, "backoff_ms": 100_000}, [60, 60]),
    ],
)
def test_pauses_grow_are_jittered_and_have_an_end(strategy: Any, pauses: list[float]) -> None:
    async def body(bench: WorkflowBench) -> None:
        await bench.execute(sequential(step("bad", "fail"), error_strategy=strategy))
        times = [at for at, _ in bench.tools.begun]
        waited = [later - earlier for earlier, later in pairwise(times)]
        assert len(waited) == len(pauses)
        for one, wanted in zip(waited, pauses, strict=True):
            assert 0.75 * wanted <= one <= 1.25 * wanted

    bench(body)


def test_pauses_without_jitter_are_exact() -> None:
    async def body(bench: WorkflowBench) -> None:
        strategy = {"type": "retry", "max_attempts": 3, "backoff_ms": 1000, "jitter": False}
        await bench.execute(sequential(step("bad", "fail"), error_strategy=strategy))
        assert [round(at, 6) for at, _ in bench.tools.begun] == [0, 1, 3]

    bench(body)


def test_a_tools_step_has_half_a_minute_and_the_workflow_its_own_limit() -> None:
    async def body(bench: WorkflowBench) -> None:
        loop = asyncio.get_running_loop()
        long = step("long", "slow", input={"seconds": 1000})
        result = await bench.execute(sequential(long))
        assert result["error"]["message"] == "Step 'long' failed: Step 'long' timed out after 30s"
        assert round(loop.time(), 3) == 30
        result = await bench.execute(sequential({**long, "timeout_ms": 100_000}, timeout_ms=45_000))
        assert result["error"] == {"message": "Workflow 'w' timed out after 45s", "code": "timeout"}
        assert round(loop.time(), 3) == 75
        assert bench.tools.running == 0
        assert bench.told[-2:] == [("step_cancelled", "long"), ("workflow_failed", "")]

    bench(body)


def test_outputs_of_rounds_that_are_too_large_are_left_out_and_that_is_told() -> None:
    async def body(bench: WorkflowBench) -> None:
        async def large(arguments: Mapping[str, Any]) -> Any:
            return "x" * (5 << 20)

        bench.tools.acts["large"] = large
        loop = {"type": "loop", "name": "w", "range": [1, 5], "body": [step("a", "large")]}
        result = await bench.execute(loop)
        assert (result["success"], result["iterations"], len(result["iteration_outputs"])) == (True, 5, 3)
        [warning] = result["metadata"]["warnings"]
        assert warning.startswith("workflow 'w': outputs of 2 rounds, from round 4 on, are left out of the result")

    bench(body)


def test_a_budget_is_spent_and_looks_no_further_than_it_goes() -> None:
    budget = Budget(1000)
    assert budget.admits({"a": [1, 2, "text"]})
    assert not budget.admits("x" * 1000)
    assert not budget.admits("y")

    class Unseen(list[str]):
        def __iter__(self) -> Iterator[str]:
            raise AssertionError("it was looked into")

    assert weight(Unseen("x" * 1000), 1000) > 1000
    assert weight([{} for _ in range(1000)], 1_000_000) > 64_000


def test_a_workflow_that_runs_itself_ends_and_says_why() -> None:
    async def body(bench: WorkflowBench) -> None:
        definition = sequential({"name": "again", "workflow": "w"})
        kept = bench.service.create(bench.request, definition)
        _id, result = await bench.service.execute(bench.request, kept, None, progress=False)
        assert result["error"]["message"] == "workflows are nested deeper than 32: does 'w' run itself?"

    bench(body)


def test_values_of_state_are_found_by_placeholders_and_conditions() -> None:
    async def body(bench: WorkflowBench) -> None:
        bench.state.entries = {"limit": 5, "a:b": "x"}
        said = step("say", "say", input={"value": "{{state:limit}}"})
        named = step("named", "say", input={"value": "{{limit}} {{state:a:b:uppercase}}"})
        condition = {"type": "shared_data_less_than", "key": "limit", "value": 6}
        result = await bench.execute(sequential(said, {**named, "condition": condition}))
        assert result["outputs"] == {"say": 5, "named": "5 X"}
        assert bench.state.written["say"]["output"] == 5
        assert bench.state.written["step:say:output"] == "5 X"

    bench(body)


def test_filters_of_a_loops_item_are_applied_in_order() -> None:
    async def body(bench: WorkflowBench) -> None:
        value = "{{loop:current_item.department:substring:0:3:uppercase}}-{{loop:current_index}}"
        items = [{"department": "sales"}, {"department": "marketing"}]
        loop = {"type": "loop", "name": "w", "items": items, "body": [step("a", "say", input={"value": value})]}
        assert (await bench.execute(loop))["iteration_outputs"] == ["SAL-0", "MAR-1"]
        assert bench.state.written["iteration_1:a"]["output"] == "MAR-1"
        assert bench.state.written["aggregated"] == ["SAL-0", "MAR-1"]

    bench(body)


def test_an_optional_step_fails_without_its_workflow() -> None:
    async def body(bench: WorkflowBench) -> None:
        for more in ({"optional": True}, {"required": False}):
            result = await bench.execute(sequential(step("bad", "fail", **more), step("good", "say")))
            assert (result["success"], result["partial_success"]) == (True, False)
            assert result["step_results"]["bad"]["success"] is False
            assert result["metadata"]["extra"]["failed_steps"] == 1
        for more in ({"continue_on_error": True}, {"error_strategy": "continue"}):
            result = await bench.execute(sequential(step("bad", "fail", **more), step("good", "say")))
            assert (result["success"], result["partial_success"]) == (False, True)

    bench(body)


def no_functions(value: Mapping[str, Any]) -> Any:
    raise LlmspellError("functions can be given by scripts only")


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({}, "Workflow type not specified"),
        ({"type": "x"}, "Unknown workflow type: 'x'"),
        (sequential({"name": "a"}), "step 'a' has no type"),
        (sequential("a"), "step 1 must be a table"),  # type: ignore[arg-type]
        (sequential({"name": "a", "tool": 3}), "needs 'tool', a name"),
        (sequential({"name": "a", "tool": "t", "timeout_ms": 0}), "timeout_ms must be more than 0"),
        (sequential({"name": "a", "tool": "t", "retries": -1}), "retries must be from 0 to 1000, not -1"),
        (sequential({"name": "a", "tool": "t", "on_error": "x"}), "on_error must be a function"),
        ({"type": "loop", "steps": []}, "a loop needs a range, a collection or a condition"),
        ({"type": "loop", "range": {"start": 1, "end": 2, "step": 0}}, "will not iterate"),
        ({"type": "loop", "range": {"start": "1", "end": 2}}, "range needs a number for 'start'"),
        ({"type": "parallel", "steps": [], "max_concurrency": 0}, "max_concurrency must be from 1 to 64, not 0"),
        ({"type": "parallel", "branches": [{"name": "a"}, {"name": "a"}]}, "two branches with the name 'a'"),
        ({"type": "conditional", "condition": {"type": "and"}}, "needs 'conditions', a list"),
        ({"type": "conditional", "condition": {"type": "step_output_equals"}}, "needs 'step_name'"),
        ({"type": "conditional", "condition": 5}, "a condition must be a table, a function or a string"),
        ({"type": "conditional", "condition": {"type": "agent_evaluates_true", "agent": 5, "prompt": "x"}}, "'agent'"),
        (sequential(agents={"q": 5}), "workflow 'w': agent 'q' must be a table"),
        (sequential(timeout_ms=10**400), "timeout_ms must be a number from 0 to 1000000000000"),
        (sequential(timeout_ms=float("inf")), "timeout_ms must be a number from 0 to 1000000000000"),
        (
            sequential({"name": "a", "tool": "t", "retry_count": 1, "retry_delay_ms": 1e300}),
            "retry_delay_ms must be a number",
        ),
        (sequential({"name": "a", "tool": "t", "retries": float("nan")}), "retries must be a whole number"),
        (sequential({"name": "a", "tool": "t", "retries": 10**400}), "retries must be a whole number"),
        (sequential(error_strategy={"type": "retry", "backoff_multiplier": 1e200}), "must be a number from 0 to 1000"),
        ({"type": "loop", "range": [0, 10**400], "body": []}, "range needs a number for 'end'"),
        ({"type": "loop", "range": [0, 1e300, 1e-9], "body": []}, "range has more than 9007199254740992 values"),
        ({"type": "parallel", "branches": [{"name": str(at)} for at in range(10_001)]}, "10000 branches at most"),
        (sequential(pre_condition={"type": "or", "conditions": [False] * 10_001}), "10000 conditions at most"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused_with_its_place(definition: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(definition, no_functions)
    assert problem in caught.value.message


def test_definitions_nested_without_end_are_refused() -> None:
    definition: dict[str, Any] = sequential(step("a", "say"))
    for _ in range(40):
        definition = sequential({"name": "in", "workflow": definition})
    with pytest.raises(InvalidRequest, match="nested deeper than 32"):
        parse(definition, no_functions)


def test_a_digest_knows_the_shape_and_not_the_functions() -> None:
    def shaped(number: int, name: str = "a") -> dict[str, Any]:
        return sequential({"name": name, "execute": {"$fn": number}, "metadata": {}})

    assert digest_of(shaped(1)) == digest_of(shaped(7))
    assert digest_of(shaped(1)) != digest_of(shaped(1, "b"))
    assert digest_of(shaped(1)) == digest_of(sequential({"metadata": [], "execute": {"$fn": 2}, "name": "a"}))


def test_a_loop_that_goes_on_counts_rounds_that_failed_apart_and_tells_its_state() -> None:
    async def body(bench: WorkflowBench) -> None:
        async def odd(arguments: Mapping[str, Any]) -> Any:
            if arguments["n"] % 2 == 0:
                raise Failing("even")
            return arguments["n"]

        bench.tools.acts["odd"] = odd
        rounds = {"name": "a", "tool": "odd", "input": {"n": "{{loop_value}}"}}
        loop = {"type": "loop", "name": "w", "range": [1, 4], "body": [rounds], "error_strategy": "continue"}
        result = await bench.execute(loop)
        assert (result["success"], result["partial_success"], result["iterations"]) == (False, True, 4)
        assert result["data"]["completed_iterations"] == 2
        assert result["iteration_outputs"] == [1, None, 3, None]
        assert result["error"]["message"] == "Some steps failed: a"
        assert result["metadata"]["extra"]["total_iterations"] == 4

    bench(body)


def test_numbers_in_placeholders_are_read_in_one_way_and_none_of_them_breaks_a_workflow() -> None:
    async def body(bench: WorkflowBench) -> None:
        long = "9" * 5000
        texts = {
            "index": "{{xs[2]}}",
            "long_index": f"{{{{xs[{long}]}}}}",
            "odd_index": "{{xs.²}}",
            "other_digits": "{{xs[٢]}}",
            "long_start": f"{{{{word:substring:{long}}}}}",
            "long_end": f"{{{{word:substring:0:{long}}}}}",
            "odd_start": "{{word:substring:²}}",
            "far_end": "{{word:substring:1:999999999999999999}}",
            "dollar": f"$input.xs[{long}]",
        }
        steps = [step(name, "say", input={"value": text}) for name, text in texts.items()]
        outputs = (await bench.execute(sequential(*steps), {"xs": ["a", "b"], "word": "text"}))["outputs"]
        kept = {name: text for name, text in texts.items() if name not in ("index", "far_end")}
        assert outputs == {"index": "b", "far_end": "ext", **kept}

    bench(body)


def test_pauses_that_grow_beyond_all_bounds_are_the_longest() -> None:
    async def body(bench: WorkflowBench) -> None:
        strategy = {"type": "retry", "max_attempts": 200, "backoff_ms": 1e12, "backoff_multiplier": 1000}
        await bench.execute(sequential(step("bad", "fail"), error_strategy=strategy))
        assert [round(at, 6) for at, _ in bench.tools.begun] == [60 * number for number in range(200)]

    bench(body)


def test_placeholders_of_nothing_but_blanks_are_read_quickly_and_stay() -> None:
    async def body(bench: WorkflowBench) -> None:
        text = "{{" + " " * 200_000 + "}"
        result = await bench.execute(sequential(step("a", "say", input={"value": text}), step("b", "say")))
        assert result["outputs"]["a"] == text

    bench(body)


def test_placeholders_that_would_fill_in_too_much_are_refused() -> None:
    async def body(bench: WorkflowBench) -> None:
        given = {"large": "x" * 1_000_000}
        definition = sequential(step("a", "say", input={"value": ["-{{large}}" * 50, "-{{large}}" * 50]}))
        result = await bench.execute(definition, given)
        assert (
            result["error"]["message"]
            == "Step 'a' failed: step 'a': its placeholders stand for more than 64 MB of text"
        )
        result = await bench.execute(sequential(step("a", "say", input={"value": "{{x:trim" + ":trim" * 100 + "}}"})))
        assert result["metadata"]["warnings"] == [
            "step 'a': a placeholder has more than 64 parts; it was left as it is"
        ]

    bench(body)


NEVER = {"name": "a", "tool": "say", "condition": {"type": "never"}}


def looped(*body: Mapping[str, Any], rounds: int = 1_000_000, **more: Any) -> dict[str, Any]:
    return {"type": "loop", "name": "w", "range": [1, rounds], "max_iterations": rounds, "body": list(body), **more}


def test_all_rounds_of_an_execution_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MAX_ROUNDS", 100)

    async def body(bench: WorkflowBench) -> None:
        inner = {**looped(NEVER, rounds=30), "name": "in"}
        for strategy in ("fail_fast", "continue"):
            result = await bench.execute(looped(inner, rounds=30, error_strategy=strategy))
            assert result["success"] is False
            said = "the workflow is ended: its loops have run 100 rounds in all, the most that one execution may have"
            assert said in result["error"]["message"]
        assert (await bench.execute(looped(NEVER, rounds=100)))["success"] is True

    bench(body)


def test_all_steps_of_an_execution_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MAX_STEPS", 1000)

    async def body(bench: WorkflowBench) -> None:
        bench.service.create(bench.request, sequential(NEVER, name="w0"))
        for level in range(1, 20):
            steps = [{"name": f"s{at}", "workflow": f"w{level - 1}"} for at in range(10)]
            bench.service.create(bench.request, sequential(*steps, name=f"w{level}", error_strategy="continue"))
        result = await bench.execute(sequential({"name": "all", "workflow": "w19"}))
        assert result["success"] is False
        assert any("1000 steps have run in all" in one["error"]["message"] for one in result["step_results"].values())

    bench(body)


@pytest.mark.parametrize(
    "definition",
    [
        looped(NEVER),
        looped({**looped(NEVER), "name": "in"}),
        {"type": "parallel", "name": "w", "steps": [{**looped(NEVER), "name": f"in_{at}"} for at in range(4)]},
        looped({**NEVER, "condition": {"type": "or", "conditions": [False] * 5000}}),
        sequential({**NEVER, "condition": None, "input": {"value": "-{{long}}" * 500_000}}),
        sequential({**NEVER, "condition": None, "input": {"value": ["{{long}}"] * 500_000}}),
    ],
)
def test_a_workflow_that_waits_for_nothing_gives_way_to_what_else_runs(definition: Mapping[str, Any]) -> None:
    async def say(arguments: Mapping[str, Any]) -> Any:
        return None

    async def body() -> None:
        bench = WorkflowBench()
        bench.tools.acts["say"] = say
        loop = asyncio.get_running_loop()
        running = loop.create_task(bench.execute(definition, {"long": "x"}))
        await asyncio.sleep(0)  # It has begun.
        turns = 0
        while turns < 5:
            await asyncio.sleep(0)
            turns += not running.done()
            assert not running.done()
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    asyncio.run(body())
