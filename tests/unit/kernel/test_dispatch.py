"""Dispatch: every request is answered once, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from llmspell_kernel.active_requests import ActiveRequests
from llmspell_kernel.clients import Clients
from llmspell_kernel.dispatch import Dispatcher
from llmspell_kernel.drain import Drain
from llmspell_kernel.early_cancels import KEPT_S, MOST, EarlyCancels
from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Content, Handler, Reply, Request
from llmspell_protocol.errors import Internal, InvalidRequest
from llmspell_protocol.messages import ONE_WAY
from llmspell_protocol.wire import encode_part
from tests.support.recording_sink import RecordingSink

ACTION = {"model_request": "list", "kernel_request": "status"}


def dispatching(handlers: Mapping[str, Handler]) -> tuple[Dispatcher, ActiveRequests]:
    """A dispatcher and the requests that it works on."""
    requests = ActiveRequests()
    return Dispatcher(handlers, requests=requests, clients=Clients(limit=1), drain=Drain(requests)), requests


def test_a_request_cancelled_before_it_could_begin_is_answered() -> None:
    """Request and cancel come on two sockets that are read one after the other in one turn of the loop."""

    async def body() -> RecordingSink:
        async def handler(_request: Request) -> Reply:
            raise AssertionError("it never began")

        dispatcher, requests = dispatching({"execute_request": handler})
        sink = RecordingSink()
        request = Request(
            id="1", msg_type="execute_request", content={"code": ""}, caller=Caller("client", "client"), sink=sink
        )
        task = dispatcher.submit(request)
        request.cancel("the client cancelled it")
        await asyncio.wait({task})
        # The callbacks of a task run behind it.
        await asyncio.sleep(0)
        assert list(requests) == []
        return sink

    sent = asyncio.run(body()).sent
    assert [kind for kind, _ in sent] == ["status", "reply", "status"]
    assert (sent[1][1]["code"], sent[1][1]["message"]) == ("cancelled", "cancelled: the client cancelled it")


def test_a_request_that_its_cancel_overtook_is_answered_as_cancelled() -> None:
    async def body(session: str) -> RecordingSink:
        async def handler(_request: Request) -> Reply:
            return Reply({})

        dispatcher, requests = dispatching({"kernel_info_request": handler})
        requests.early_cancels.remember("1", Caller("client", session).sender)
        sink = RecordingSink()
        caller = Caller("client", "mine")
        await asyncio.wait(
            {dispatcher.submit(Request(id="1", msg_type="kernel_info_request", content={}, caller=caller, sink=sink))}
        )
        await asyncio.sleep(0)
        return sink

    assert _reply(asyncio.run(body("mine")))["code"] == "cancelled"
    assert _reply(asyncio.run(body("another")))["status"] == "ok"


def test_requests_of_one_id_are_both_known_and_each_sender_reaches_its_own() -> None:
    async def body() -> None:
        async def handler(_request: Request) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError("nothing sets it")

        dispatcher, requests = dispatching({"kernel_info_request": handler})
        callers = [Caller(name, name) for name in ("first", "second")]
        callers.append(callers[0]._replace(key_id="guest", client="third"))
        made = [
            Request(id="same", msg_type="kernel_info_request", content={}, caller=caller, sink=RecordingSink())
            for caller in callers
        ]
        tasks = [dispatcher.submit(request) for request in made]
        assert list(requests) == made
        assert requests.tasks() == set(tasks)
        assert [requests.get("same", caller.sender) for caller in callers] == made
        assert requests.get("same", "another") is made[0]
        for request, task in zip(made[1:], tasks[1:], strict=True):
            request.cancel("enough")
            await asyncio.wait({task})
        await asyncio.sleep(0)
        assert list(requests) == [made[0]]
        assert [requests.get("same", caller.sender) for caller in callers] == [made[0]] * 3
        made[0].cancel("enough")
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
        assert (len(requests), requests.get("same", callers[0].sender)) == (0, None)

    asyncio.run(body())


@pytest.mark.parametrize("second", ["execute_request", "kernel_info_request", "model_request", "kernel_request"])
def test_a_second_request_of_one_client_with_an_id_that_runs_is_refused_and_hides_nothing(second: str) -> None:
    async def body() -> None:
        async def handler(_request: Request) -> Reply:
            await asyncio.Event().wait()
            raise AssertionError("nothing sets it")

        dispatcher, requests = dispatching(dict.fromkeys(("kernel_info_request", second), handler))
        caller = Caller("client", "session")
        first, reused, later = (
            Request(id="same", msg_type=kind, content={"action": ACTION.get(kind)}, caller=caller, sink=RecordingSink())
            for kind in ("kernel_info_request", second, second)
        )
        dispatcher.submit(first)
        for request in (reused, later):
            await asyncio.wait({dispatcher.submit(request)})
            await asyncio.sleep(0)
            assert isinstance(request.sink, RecordingSink)
            # Nothing is published that could be taken for what becomes of the first one.
            [(kind, content)] = request.sink.sent
            assert (kind, content["code"], content["details"]["msg_id"]) == ("reply", "invalid_request", "same")
            assert list(requests) == [first]
            assert requests.get("same", caller.sender) is first
        first.cancel("the client is gone")
        assert first.task is not None
        await asyncio.wait({first.task})
        await asyncio.sleep(0)
        assert requests.get("same", caller.sender) is None

    asyncio.run(body())


def test_a_cancel_of_another_sender_does_not_take_the_place_of_ones_own() -> None:
    cancels = EarlyCancels()
    cancels.remember("1", "mine")
    cancels.remember("1", "another's")
    assert cancels.take("1", "mine")
    assert not cancels.take("1", "mine")
    assert cancels.take("1", "another's")


def _reply(sink: RecordingSink) -> dict[str, object]:
    (content,) = [content for kind, content in sink.sent if kind == "reply"]
    return dict(content)


def test_cancels_without_a_request_are_forgotten_by_number_and_by_time() -> None:
    now = 0.0
    cancels = EarlyCancels(lambda: now)
    for number in range(MOST + 1):
        cancels.remember(str(number), "mine")
    assert not cancels.take("0", "mine")
    assert cancels.take("1", "mine")
    assert not cancels.take("1", "mine")
    now = KEPT_S
    assert not cancels.take("2", "mine")


class PickySink(RecordingSink):
    """Sends no content that holds something no encoding has, as sockets do."""

    def reply(self, content: Content, buffers: Sequence[bytes] = ()) -> None:
        encode_part(content, "msgpack")
        super().reply(content, buffers)


@pytest.mark.parametrize("failing", ["reply", "error", "internal"])
def test_an_answer_that_can_not_be_sent_is_a_defect_with_a_number_and_a_traceback(
    failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Request) -> Reply:
        if failing == "reply":
            return Reply({"value": object()})
        if failing == "error":
            raise InvalidRequest("wrong", details={"value": object()})
        raise Internal("a worker's defect")

    async def body() -> RecordingSink:
        dispatcher, requests = dispatching({"kernel_info_request": handler})
        sink = PickySink()
        caller = Caller("client", "mine")
        request = Request(id="1", msg_type="kernel_info_request", content={}, caller=caller, sink=sink)
        await asyncio.wait({dispatcher.submit(request)})
        await asyncio.sleep(0)
        assert list(requests) == []
        return sink

    reply = _reply(asyncio.run(body()))
    assert reply["code"] == "internal"
    incident = reply["details"]["incident"]
    (record,) = [one for one in caplog.records if incident in one.getMessage()]
    assert record.exc_info is not None
    assert record.exc_info[0] is not None


def test_messages_that_nothing_answers_get_no_answer_however_they_end() -> None:
    async def body(msg_type: str) -> RecordingSink:
        async def handler(request: Request) -> Reply:
            raise InvalidRequest("wrong")

        dispatcher, _ = dispatching({msg_type: handler})
        sink = RecordingSink()
        caller = Caller("client", "mine")
        await asyncio.wait(
            {dispatcher.submit(Request(id="1", msg_type=msg_type, content={}, caller=caller, sink=sink))}
        )
        await asyncio.sleep(0)
        return sink

    for msg_type in ONE_WAY:
        assert [kind for kind, _ in asyncio.run(body(msg_type)).sent] == ["status", "status"]
