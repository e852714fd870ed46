"""Schemas and replies that are looked at in a process of their own: what fits, what doesn't, what never ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from llmspell_kernel.services.reply_checks import MOST_AT_ONCE, ReplyChecks
from llmspell_protocol.errors import InvalidRequest, SchemaUnsupported, SchemaViolation, WorkerCrashed
from llmspell_protocol.models import ChatRequest
from llmspell_providers.schemas.grammars import Grammar
from tests.support.children import running_children
from tests.support.schema_replies import asked, said

ENDLESS = {"type": "string", "pattern": "^(a+)+$"}
ALMOST = '"' + "a" * 64 + '!"'
"""Halves of this string fit in 2^64 ways, none of them whole."""


def play(directory: Path, scene: Callable[[ReplyChecks], Awaitable[None]], **times: float) -> None:
    async def played() -> None:
        checks = ReplyChecks(directory, **{"within_s": 60.0, **times})
        try:
            await scene(checks)
        finally:
            await checks.close()

    asyncio.run(played())


def test_replies_that_fit_pass_and_others_are_told_what_and_where(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        await checks.check(said('{"x": 1}'), asked({"type": "object"}))
        with pytest.raises(SchemaViolation, match="does not fit the schema at '/x'") as caught:
            await checks.check(said('{"x": 1}'), asked({"properties": {"x": {"type": "string"}}}))
        assert caught.value.details == {"text": '{"x": 1}', "at": "/x", "finish_reason": "stop"}
        await checks.check(said("[]"), asked({"type": "array"}))

    play(tmp_path, scene)


def test_a_json_text_is_held_against_a_schema_alone(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
        await checks.demand_fit('{"n": 1}', schema)
        with pytest.raises(SchemaViolation, match="'/n'"):
            await checks.demand_fit('{"n": "one"}', schema)

    play(tmp_path, scene)


def test_a_request_comes_back_as_a_backend_may_be_given_it(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        tool = {"name": "f", "parameters": {"properties": {"a": {"type": "string", "pattern": "^\\d$"}}}}
        wanted = ChatRequest(model="m", schema={"type": "integer", "minimum": 1.5, "maximum": 3}, tools=[tool])
        given = await checks.admit(wanted, Grammar())
        assert given.schema == {"type": "integer", "minimum": 2, "maximum": 3}
        assert given.tools[0]["parameters"]["properties"]["a"]["pattern"] == "^[0-9]$"
        assert given.model == "m"
        assert (await checks.admit(wanted, None)).schema == wanted.schema
        with pytest.raises(SchemaUnsupported, match="'minimum' at '/minimum'"):
            await checks.admit(wanted, Grammar(integer_bounds=False))
        with pytest.raises(InvalidRequest, match="'properties' at '/properties'"):
            await checks.admit(asked({"properties": ["a"]}), None)

    play(tmp_path, scene)


def test_a_schema_that_is_looked_at_for_ever_is_refused_and_the_process_ends(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        endless = {**ENDLESS, "const": "a" * 64 + "!"}
        with pytest.raises(SchemaUnsupported, match="could not be read within 1 s"):
            await checks.admit(asked(endless), Grammar())

    play(tmp_path, scene, within_s=1.0)


def test_a_process_that_ends_in_the_middle_is_told(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        endless = asyncio.create_task(checks.admit(asked({**ENDLESS, "const": "a" * 64 + "!"}), Grammar()))
        await asyncio.sleep(0)
        (worker,) = running_children()
        worker.kill()
        with pytest.raises(WorkerCrashed):
            await endless

    play(tmp_path, scene)


def test_a_pattern_that_never_ends_fails_the_reply(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        with pytest.raises(SchemaViolation, match="could not be held against its schema within 1 s"):
            await checks.check(said(ALMOST), asked(ENDLESS))

    play(tmp_path, scene, within_s=1.0)


def test_the_loop_runs_on_and_a_cancelled_check_holds_up_no_other(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        endless = asyncio.create_task(checks.check(said(ALMOST), asked(ENDLESS)))
        after = asyncio.create_task(checks.check(said("[]"), asked({"type": "array"})))
        await asyncio.sleep(0)
        assert not endless.done()
        endless.cancel()
        await after
        with pytest.raises(asyncio.CancelledError):
            await endless

    play(tmp_path, scene)


def test_a_reply_passes_while_others_are_still_being_checked(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        endless = [asyncio.create_task(checks.check(said(ALMOST), asked(ENDLESS))) for _ in range(2)]
        await asyncio.sleep(0)
        await checks.check(said("[]"), asked({"type": "array"}))
        assert not any(check.done() for check in endless)
        endless[0].cancel()
        await asyncio.wait(endless[:1])
        await checks.check(said("[]"), asked({"type": "array"}))
        assert not endless[1].done()
        endless[1].cancel()
        await asyncio.wait(endless)

    play(tmp_path, scene)


def test_so_many_are_checked_at_once_and_the_rest_wait(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        endless = [asyncio.create_task(checks.check(said(ALMOST), asked(ENDLESS))) for _ in range(MOST_AT_ONCE)]
        innocent = asyncio.create_task(checks.check(said("[]"), asked({"type": "array"})))
        await asyncio.sleep(0)
        assert len(running_children()) == MOST_AT_ONCE
        endless[0].cancel()
        await innocent
        assert not any(check.done() for check in endless[1:])
        for check in endless:
            check.cancel()
        await asyncio.wait(endless)

    play(tmp_path, scene)


def test_a_process_that_was_not_needed_for_a_while_is_ended_and_the_next_reply_gets_another(tmp_path: Path) -> None:
    async def scene(checks: ReplyChecks) -> None:
        for _ in range(2):
            checks.prepare()
            (worker,) = running_children()
            await asyncio.to_thread(worker.wait, 30)
        await checks.check(said("[]"), asked({"type": "array"}))

    play(tmp_path, scene, kept_s=0.0)
