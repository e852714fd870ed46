"""Comms that clients open: under an id of their own, seen where they are refused, and gone with the client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmspell_kernel.scripting import comms
from tests.support.script_harness import Frontend, ScriptHarness, run

HEARS = """
heard = {}
Comm.register_target('t', function(comm, data)
  heard[#heard + 1] = 'open ' .. comm.id
  comm:on_msg(function(data) heard[#heard + 1] = comm.id .. ' says ' .. data.text end)
  comm:on_close(function() heard[#heard + 1] = 'close ' .. comm.id end)
end)
"""


async def said(harness: ScriptHarness, msg_type: str, id: str, client: str = "client", **content: Any) -> Frontend:
    """Sends a comm's message and waits for what comes of it."""
    request, frontend = harness.start("", content={"comm_id": id, **content}, msg_type=msg_type, client=client)
    assert request.task is not None
    await asyncio.wait_for(request.task, 60)
    return frontend


async def opened(harness: ScriptHarness, id: str, client: str = "client", target: str = "t") -> Frontend:
    return await said(harness, "comm_open", id, client, target_name=target, data={})


async def value(harness: ScriptHarness, code: str) -> str:
    """What an expression gives in the cell."""
    return str((await harness.cell(code)).of("execute_result")[0]["data"]["text/plain"])


async def open_ids(harness: ScriptHarness, target: str | None = None) -> set[str]:
    request, frontend = harness.start("", content={"target_name": target}, msg_type="comm_info_request")
    assert request.task is not None
    await request.task
    return set(frontend.replies[0]["comms"])


@pytest.mark.parametrize("target", ["t", "nothing", "jupyter.widget.control"])
def test_an_id_that_is_in_use_is_refused_and_stays_with_its_comm(target: str) -> None:
    async def body(harness: ScriptHarness) -> None:
        await harness.cell(HEARS)
        own = await value(
            harness, "mine = Comm.new('x') mine:on_msg(function(data) heard[#heard + 1] = 'mine' end) return mine.id"
        )
        own = own.strip('"')
        await opened(harness, "a")
        await opened(harness, "control", target="jupyter.widget.control")
        for id in (own, "a", "control"):
            frontend = await opened(harness, id, "another", target)
            assert frontend.of("comm_close") == []
            assert f"a comm with the id '{id}' is open already" in frontend.output
        await said(harness, "comm_msg", own, data={"text": "hello"})
        await said(harness, "comm_msg", "a", data={"text": "hello"})
        assert await value(harness, "return table.concat(heard, ', ')") == '"open a, mine, a says hello"'

    run(body)


def test_more_than_may_be_open_are_closed_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comms, "MOST_OPEN", 3)

    async def body(harness: ScriptHarness) -> None:
        await harness.cell(HEARS)
        for id in "abc":
            assert (await opened(harness, id)).published == []
        frontend = await opened(harness, "d")
        assert frontend.of("comm_close") == [{"comm_id": "d", "data": {}}]
        assert frontend.output == "open of comm 't': 3 comms are open already\n"
        await said(harness, "comm_close", "b")
        assert (await opened(harness, "d")).published == []

    run(body)


def test_what_a_client_has_opened_ends_with_it_and_the_script_hears_it() -> None:
    async def body(harness: ScriptHarness) -> None:
        await harness.cell(HEARS)
        own = (await value(harness, "mine = Comm.new('x') return mine.id")).strip('"')
        for id, client in (("a", "one"), ("b", "one"), ("c", "two"), ("gone", "one")):
            await opened(harness, id, client)
        await opened(harness, "w", "one", "jupyter.widget.control")
        await said(harness, "comm_close", "gone", "one")
        assert await open_ids(harness) == {own, "a", "b", "c"}
        harness.contexts.forget("one")
        harness.contexts.forget("one")
        heard = '"open a, open b, open c, open gone, close gone, close a, close b"'
        async with asyncio.timeout(60):
            while await open_ids(harness) != {own, "c"}:  # noqa: ASYNC110 — each look is a request of its own
                await asyncio.sleep(0)
            while await value(harness, "return table.concat(heard, ', ')") != heard:  # noqa: ASYNC110 — as above
                await asyncio.sleep(0)
        assert await value(harness, "return #Comm.list()") == "2"
        assert harness.contexts.shared.controls.info(None) == {}

    run(body)
