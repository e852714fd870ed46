"""What a script wants of the kernel and the kernel can't do ends the script with an error: its worker lives, and what
comes behind it is heard. With real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting import comms
from llmspell_kernel.scripting.context import Context
from llmspell_kernel.scripting.contexts import Contexts
from llmspell_kernel.scripting.process import Job
from llmspell_kernel.scripting.scope import OnOutput
from llmspell_profiles.schema.settings import Settings
from llmspell_protocol.errors import Internal, InvalidRequest, LlmspellError
from llmspell_protocol.request_options import RequestOptions
from tests.support.recording_sink import RecordingSink
from tests.support.script_harness import ScriptHarness, run

PROBLEMS = [OverflowError("no"), ValueError("no"), KeyError("no"), InvalidRequest("no")]


class Failing:
    """An outlet, a sink's question, an output and a way to start requests, each of which fails in one way."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def fail(self, *_: Any, **__: Any) -> Any:
        raise self.problem

    show = work = work_ended = fail

    def flush(self) -> None:
        """Nothing is gathered."""


class FailingAsk(RecordingSink):
    """A sink that can't ask."""

    def __init__(self, problem: Exception) -> None:
        super().__init__()
        self._problem = problem

    async def ask(self, prompt: str, *, password: bool = False) -> str | None:
        raise self._problem


def ignore(_stream: str, _text: str) -> None:
    """Nobody reads it."""


Body = Callable[[Callable[..., Awaitable[Any]], Context], Awaitable[None]]


def with_context(problem: Exception, body: Body) -> None:
    """Runs a body with a way to run code for a request whose parts fail so, and the context that it runs in."""

    async def main() -> None:
        contexts = Contexts(lambda: Settings.check({}), Failing(problem).fail, None)

        async def execute(code: str, on_output: OnOutput = ignore, sink: Any = None) -> Any:
            request = Request("r", "execute_request", {}, Caller(client="c", session="s"), sink or RecordingSink())
            request.options = RequestOptions(interactive=True)
            request.outlet = Failing(problem)
            job = Job(code, "cell", cell=True, shows_value=True, data=True, stdin="ask", frontend=True)
            async with asyncio.timeout(60):
                return (await contexts.shared.execute(request, job, on_output)).value

        try:
            await body(execute, contexts.shared)
        finally:
            await contexts.close()

    asyncio.run(main())


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize(
    ("code", "op"),
    [
        ("print('x')", "stream"),
        ("print('x') while true do end", "stream"),
        ("display(1)", "show"),
        ("local p = Progress.new(3)", "show"),
        ("io.read()", "question"),
    ],
)
def test_the_script_ends_with_the_error_and_its_worker_goes_on(
    problem: Exception, code: str, op: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(execute: Callable[..., Awaitable[Any]], context: Context) -> None:
        assert await execute("kept = 7 return kept") == 7
        pid = context.pid
        with pytest.raises(LlmspellError) as raised:
            await execute(code, Failing(problem).fail, FailingAsk(problem))
        expected = problem if isinstance(problem, InvalidRequest) else None
        assert (raised.value is problem) == (expected is not None)
        if expected is None:
            assert isinstance(raised.value, Internal)
            logged = [record.getMessage() for record in caplog.records if record.exc_info is not None]
            assert logged[0] == f"incident {raised.value.details['incident']} in a script's {op}"
        assert await execute("return kept") == 7
        assert context.pid == pid

    with_context(problem, body)


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda one: type(one).__name__)
def test_a_request_that_can_not_be_started_is_answered(problem: Exception) -> None:
    async def body(execute: Callable[..., Awaitable[Any]], context: Context) -> None:
        for _ in range(2):
            ok, message = await execute("return {pcall(LocalLLM.status)}")
            assert ok is False
            assert message.startswith("Validation error: no" if problem is PROBLEMS[-1] else "Internal error: ")

    with_context(problem, body)


def test_more_comms_than_the_kernel_keeps_end_the_cell_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comms, "MOST_OPEN", 5)

    async def body(harness: ScriptHarness) -> None:
        await harness.cell("kept = 7")
        pid = harness.contexts.shared.pid
        reply = (await harness.cell("for i = 1, 10 do Comm.new('x') end")).replies[0]
        assert (reply["status"], reply["code"], reply["message"]) == (
            "error",
            "invalid_request",
            "5 comms are open already",
        )
        shown = await harness.cell("return kept")
        assert shown.of("execute_result")[0]["data"]["text/plain"] == "7"
        assert harness.contexts.shared.pid == pid

    run(body)


@pytest.mark.parametrize("number", ["0/0", "math.huge"])
def test_progress_without_a_number_costs_no_variables(number: str) -> None:
    async def body(harness: ScriptHarness) -> None:
        code = f"kept = 1 local p = Progress.new(10) p:update({number})"
        assert "finite number expected" in (await harness.cell(code)).replies[0]["message"]
        shown = await harness.cell("return kept")
        assert shown.of("execute_result")[0]["data"]["text/plain"] == "1"

    run(body)
