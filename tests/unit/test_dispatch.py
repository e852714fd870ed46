"""Dispatch: every request is answered once, however it ends."""

from __future__ import annotations

import asyncio

from llmspell_kernel.context import Caller, Reply, Request
from llmspell_kernel.dispatch import Dispatcher
from tests.support.recording_sink import RecordingSink


def test_a_request_cancelled_before_it_could_begin_is_answered() -> None:
    """Request and cancel come on two sockets that are read one after the other in one turn of the loop."""

    async def body() -> RecordingSink:
        async def handler(_request: Request) -> Reply:
            raise AssertionError("it never began")

        dispatcher = Dispatcher(max_clients=1)
        dispatcher.attach({"execute_request": handler}, lambda: ["client"], lambda _client: None, lambda: None)
        sink = RecordingSink()
        request = Request(
            id="1", msg_type="execute_request", content={"code": ""}, caller=Caller("client", "client"), sink=sink
        )
        task = dispatcher.submit(request)
        request.cancel("the client cancelled it")
        await asyncio.wait({task})
        # The callbacks of a task run behind it.
        await asyncio.sleep(0)
        assert dispatcher.active == {}
        return sink

    sent = asyncio.run(body()).sent
    assert [kind for kind, _ in sent] == ["status", "reply", "status"]
    assert (sent[1][1]["code"], sent[1][1]["message"]) == ("cancelled", "cancelled: the client cancelled it")
