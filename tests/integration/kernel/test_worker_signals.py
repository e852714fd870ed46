"""Script workers and checkers of replies that are ended by any signal: a typed error, and what comes next works."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from llmspell_kernel.services.reply_checks import ReplyChecks
from llmspell_protocol.errors import OutOfMemory, WorkerCrashed
from llmspell_protocol.exit_status import ending
from tests.support.children import running_children
from tests.support.schema_replies import asked, said
from tests.support.script_harness import ScriptHarness, run

DEADLINE_S = 60.0
SIGNALS = (*(signal.SIGHUP, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGBUS), 34, 40, 64)
ENDLESS = {"type": "string", "pattern": "^(a+)+$"}
ALMOST = '"' + "a" * 64 + '!"'


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("isolated", [False, True])
def test_a_script_worker_that_is_ended_is_told_and_the_next_script_runs(number: int, isolated: bool) -> None:
    async def body(scripts: ScriptHarness) -> None:
        request, shown = scripts.start("print('on') while true do end", isolated=isolated)
        await shown.until(lambda frontend: frontend.output == "on\n")
        os.kill(scripts.contexts.pids[-1], number)
        assert request.task is not None
        done, _ = await asyncio.wait({request.task}, timeout=DEADLINE_S)
        assert done
        assert shown.replies[0]["code"] == "worker_crashed"
        assert f"ended unexpectedly {ending(-number)}" in shown.replies[0]["message"]
        assert (await scripts.cell("1 + 1")).of("execute_result")[0]["data"] == {"text/plain": "2"}

    run(body)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_checker_of_replies_that_is_ended_is_told_and_the_next_reply_is_checked(number: int, tmp_path: Path) -> None:
    async def scene() -> None:
        checks = ReplyChecks(tmp_path)
        try:
            running = asyncio.create_task(checks.check(said(ALMOST), asked(ENDLESS)))
            await asyncio.sleep(0)
            [checker] = running_children()
            os.kill(checker.pid, number)
            with pytest.raises(WorkerCrashed, match=f"ended {ending(-number).replace('+', '.')}") as caught:
                async with asyncio.timeout(DEADLINE_S):
                    await running
            assert caught.value.hint
            await checks.check(said("[]"), asked({"type": "array"}))
        finally:
            await checks.close()

    asyncio.run(scene())


def test_a_check_that_takes_all_memory_is_told_and_the_next_reply_is_checked_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As little as a process with jsonschema takes, and a reply that is many times its text.
    monkeypatch.setattr("llmspell_kernel.services.reply_checks.REPLY_CHECK_BYTES", 120 << 20)

    async def scene() -> None:
        checks = ReplyChecks(tmp_path)
        try:
            async with asyncio.timeout(DEADLINE_S):
                with pytest.raises(OutOfMemory) as caught:
                    await checks.check(said("[" + "[]," * 3_000_000 + "[]]"), asked({"type": "array"}))
                assert caught.value.hint
                await checks.check(said("[]"), asked({"type": "array"}))
        finally:
            await checks.close()

    asyncio.run(scene())
