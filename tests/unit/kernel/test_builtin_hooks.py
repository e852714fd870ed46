"""The built-in hooks of the configuration: what each does to work, and what it has counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llmspell_kernel.request import Request
from llmspell_kernel.services.hooks.builtin.caching import KEPT_BYTES, LARGEST
from llmspell_kernel.services.hooks.builtin.made import _MAKE
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_kernel.services.tools.invocation import plain_reply
from llmspell_kernel.services.tools.standing import Standing
from llmspell_profiles.schema.hooks import BUILTIN
from llmspell_protocol.areas.tool import ToolInvokeReply
from llmspell_protocol.errors import Forbidden, InvalidRequest, LlmspellError, ToolError
from llmspell_protocol.tools.description import ToolDescription
from llmspell_protocol.tools.permissions import Permissions
from tests.support.hook_bench import CALCULATOR, HookBench, asked, run, settings_of


def bench_with(name: str, **table: Any) -> HookBench:
    return HookBench(settings_of(hooks={"builtin": [name], name: table} if table else {"builtin": [name]}))


NOTHING = Permissions()


class Calls:
    """Calls of tools that are counted; the first of them fail with the errors that a test gives."""

    def __init__(self, bench: HookBench, *errors: LlmspellError) -> None:
        self.made = 0
        self._bench = bench
        self._errors = list(errors)

    async def __call__(
        self,
        parameters: Any = 1,
        request: Request | None = None,
        *,
        source: str = "builtin",
        permissions: Permissions = NOTHING,
        asked_for: Permissions | None = None,
        length: int = 0,
    ) -> Any:
        request = request or asked()
        tool = ToolDescription(
            name="calculator", description="d", category="utility", security_level="safe", parameters={}, source=source
        )
        standing = Standing(request, tool, permissions, lambda: self._bench.settings)

        async def work(data: Mapping[str, Any]) -> ToolInvokeReply:
            self.made += 1
            if self._errors:
                raise self._errors.pop(0)
            standing.permissions = asked_for or permissions
            found = f"{data['parameters']} {self.made}"
            text = found.ljust(length)
            return plain_reply("calculator", result=found, output=found, text=text, problem=None, began=0)

        reply = await self._bench.services.around(
            request,
            HookedWork(
                before="BeforeToolExecution",
                after="AfterToolExecution",
                error="ToolError",
                component=CALCULATOR,
                data={"tool_name": "calculator", "parameters": parameters, "source": source},
                work=work,
                shown=lambda reply: reply.result,
                basis=standing.text,
            ),
        )
        return reply.result

    def figures(self) -> Mapping[str, Any]:
        [found] = self._bench.hooks.figures("conn").values()
        return found


def test_every_name_of_the_schema_has_its_hook() -> None:
    assert set(_MAKE) == set(BUILTIN)


def test_logging_writes_a_line_for_each_execution_and_nothing_of_its_data(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        calls = Calls(bench_with("logging", level="warn"), ToolError("the secret"))
        with pytest.raises(ToolError):
            await calls("what a person wrote")
        await calls("what a person wrote")
        assert calls.figures() == {"lines": 4}

    run(scene)
    assert [record.message for record in caplog.records] == [
        "BeforeToolExecution: tool 'calculator'",
        "ToolError: tool 'calculator': tool_error",
        "BeforeToolExecution: tool 'calculator'",
        "AfterToolExecution: tool 'calculator'",
    ]


def test_metrics_counts_by_component() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("metrics"), ToolError("no"))
        with pytest.raises(ToolError):
            await calls()
        await calls()
        await calls(request=asked(key="other"))
        assert calls.figures() == {"tool calculator": {"started": 2, "completed": 1, "failed": 1}}

    run(scene)


def test_rate_limit_cancels_what_is_too_much_for_each_key_and_component() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("rate_limit", per_minute=2))
        await calls()
        await calls()
        with pytest.raises(Forbidden, match="cancelled by hook: rate limit: tool 'calculator' was executed 2 times"):
            await calls()
        await calls(request=asked(key="other"))
        assert calls.figures() == {"allowed": 3, "refused": 1}

    run(scene)


def test_a_call_looks_at_no_other_components_and_those_of_a_minute_ago_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counted(str):
        looked_at = 0

        def __hash__(self) -> int:
            Counted.looked_at += 1
            return super().__hash__()

    async def scene() -> None:
        bench = bench_with("rate_limit", per_minute=2)
        now = 1000.0
        monkeypatch.setattr("llmspell_kernel.services.hooks.builtin.rate_limit.time.monotonic", lambda: now)

        async def call(name: str) -> str:
            component = Component("tool", name)
            return (await bench.services.run("BeforeToolExecution", asked(), component=component, data={})).kind

        for number in range(100):
            assert await call(Counted(number)) == "continue"
        Counted.looked_at = 0
        assert [await call("calculator") for _ in range(3)] == ["continue", "continue", "cancel"]
        assert Counted.looked_at == 0
        now += 60
        assert await call("calculator") == "continue"
        assert Counted.looked_at == 100

    run(scene)


def test_caching_gives_what_was_kept_to_the_same_key_alone() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["calc*"], max_entries=2))
        assert [await calls(1), await calls(1), await calls(2)] == ["1 1", "1 1", "2 2"]
        assert await calls(1, asked(key="other")) == "1 3"
        assert calls.figures() == {"hits": 1, "misses": 3, "entries": 2}
        assert await calls(1) == "1 4"

    run(scene)


def test_caching_keeps_nothing_of_tools_that_are_not_named() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching"))
        assert [await calls(1), await calls(1)] == ["1 1", "1 2"]

    run(scene)


def test_caching_forgets_what_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["*"], ttl_seconds=1))
        assert await calls(1) == "1 1"
        builtin = calls._bench.hooks._builtin
        assert builtin is not None
        [native] = builtin._native
        kept = native._kept  # type: ignore[attr-defined]
        for entry, one in list(kept.items()):
            kept[entry] = one._replace(until=one.until - 2)
        assert await calls(1) == "1 2"

    run(scene)


def test_caching_gives_nothing_to_who_may_not_touch_the_same() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["*"]))
        granted = Permissions(read=("/secret",), working_directory="/here")
        assert await calls(permissions=granted) == "1 1"
        assert await calls(permissions=Permissions(working_directory="/here")) == "1 2"
        assert await calls(permissions=Permissions(read=("/secret",), working_directory="/there")) == "1 3"
        assert await calls(permissions=granted) == "1 1"
        less = asked()
        less.caller = less.caller._replace(capabilities=frozenset({"execute"}))
        assert await calls(request=less, permissions=granted) == "1 4"

    run(scene)


def test_caching_gives_nothing_that_a_person_was_asked_for_during_the_call() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["*"]))
        assert await calls(asked_for=Permissions(read=("/secret",))) == "1 1"
        assert await calls() == "1 2"
        assert await calls(permissions=Permissions(read=("/secret",))) == "1 1"

    run(scene)


def test_what_caching_keeps_is_bounded_in_bytes() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["*"]))
        assert [await calls("large", length=LARGEST), await calls("large")] == ["large 1", "large 2"]
        each = LARGEST - 10_000
        for number in range(KEPT_BYTES // each + 1):
            await calls(number, length=each)
        assert calls.figures()["entries"] == KEPT_BYTES // each
        assert await calls("large") == f"large {calls.made}"

    run(scene)


def test_caching_tells_the_tools_of_two_scripts_apart() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("caching", components=["*"]))
        assert await calls(1, asked(context="script-1"), source="script") == "1 1"
        assert await calls(1, asked(context="script-2"), source="script") == "1 2"

    run(scene)


async def model_turn(bench: HookBench, model: str = "gpt-x") -> None:
    async def work(data: Mapping[str, Any]) -> str:
        return "answer"

    await bench.services.around(
        asked(),
        HookedWork(
            before="BeforeModelExecution",
            after="AfterModelExecution",
            error="ModelError",
            component=Component("model", model),
            data={"model": model},
            work=work,
            details=lambda _: {"model": model, "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 500_000}},
        ),
    )


def test_cost_tracking_adds_up_by_the_nearest_price_and_ends_at_the_budget() -> None:
    async def scene() -> None:
        bench = bench_with(
            "cost_tracking", input_prices={"gpt-*": 9.0, "gpt-x": 2.0}, output_prices={"*": 4.0}, budget_usd=7.0
        )
        await model_turn(bench)
        assert bench.hooks.figures("conn")["cost_tracking"]["cost_usd"] == 4.0
        await model_turn(bench)
        assert bench.hooks.figures("conn")["cost_tracking"]["models"] == {
            "gpt-x": {"prompt_tokens": 2_000_000, "completion_tokens": 1_000_000, "cost_usd": 8.0}
        }
        with pytest.raises(Forbidden, match=r"the budget of \$7 is spent"):
            await model_turn(bench)

    run(scene)


def test_retry_tries_what_may_pass_again_and_nothing_else() -> None:
    async def scene() -> None:
        calls = Calls(bench_with("retry", delay_ms=0, max_attempts=3), *[ToolError("busy", retryable=True)] * 2)
        assert await calls(1) == "1 3"
        assert calls.figures() == {"asked_for": 2}
        calls = Calls(bench_with("retry", delay_ms=0), InvalidRequest("never"))
        with pytest.raises(InvalidRequest):
            await calls()
        assert calls.made == 1

    run(scene)


@pytest.mark.parametrize("block", [False, True])
def test_security_tells_of_parameters_that_are_too_long(block: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        calls = Calls(bench_with("security", max_parameter_length=10, block=block))
        await calls({"input": "short"})
        if block:
            with pytest.raises(Forbidden, match="parameter 'input' of tool 'calculator' is longer than 10 characters"):
                await calls({"input": "x" * 11})
        else:
            await calls({"input": "x" * 11})
        assert calls.figures() == {"violations": 1, "blocked": int(block)}

    run(scene)
    assert "is longer than 10 characters (11)" in caplog.text


def test_security_tells_of_what_was_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        bench, request = bench_with("security"), asked()
        refused = Forbidden("Permission denied")
        await bench.hooks.failed(request, refused)
        await bench.hooks.failed(request, refused)
        await bench.hooks.failed(request, Forbidden("by a hook", details={"hook": "x"}))
        assert bench.hooks.figures("conn")["security"]["violations"] == 1

    run(scene)
    assert "was refused: forbidden" in caplog.text


def test_a_changed_configuration_changes_which_hooks_there_are() -> None:
    async def scene() -> None:
        bench = bench_with("rate_limit", per_minute=1)
        calls = Calls(bench)
        await calls()
        bench.settings = settings_of(hooks={"builtin": []})
        bench.hooks.configure(bench.settings)
        await calls()
        assert bench.hooks.list(asked().caller) == []
        bench.settings = settings_of(hooks={"enabled": False, "builtin": ["rate_limit"]})
        bench.hooks.configure(bench.settings)
        assert bench.hooks.list(asked().caller) == []
        bench.hook("BeforeToolExecution", "no", context="script-1")
        assert not bench.hooks.registered("BeforeToolExecution", asked(context="script-1"))
        await calls(1, asked(context="script-1"))

    run(scene)
