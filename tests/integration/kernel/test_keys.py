"""A kernel with two keys: what a message is signed with decides what it may ask for, on every socket."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from llmspell_kernel.clients import Clients
from llmspell_kernel.doors.binding import bind_sockets
from llmspell_kernel.doors.zmq import ZmqDoor
from llmspell_kernel.identity import Key, KeyRing
from llmspell_kernel.request import Request
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.rights import Capability
from llmspell_protocol.wire import Wire, WireError
from tests.support.kernel_in_process import SECRET, kernel_in_process
from tests.support.raw_sockets import RawSocket, raw_socket
from tests.support.steering import wait_until
from tests.support.turns import settle, until

GUEST = Key("guest", b"a guest's", frozenset({"infer"}))

FORBIDDEN: list[tuple[Channel, str, dict[str, Any]]] = [
    ("shell", "execute_request", {"code": "return 1"}),
    ("shell", "complete_request", {"code": "pri", "cursor_pos": 3}),
    ("shell", "is_complete_request", {"code": "if"}),
    ("shell", "history_request", {"hist_access_type": "tail", "n": 1}),
    ("shell", "comm_info_request", {}),
    ("control", "interrupt_request", {}),
    ("control", "shutdown_request", {"restart": False}),
    ("shell", "agent_request", {"action": "list"}),
    ("shell", "model_request", {"action": "load", "model": "mock/a"}),
    ("control", "kernel_request", {"action": "drain"}),
]
ALLOWED: list[tuple[Channel, str, dict[str, Any]]] = [
    ("shell", "kernel_info_request", {}),
    ("control", "kernel_info_request", {}),
    ("shell", "kernel_request", {"action": "status"}),
    ("shell", "model_request", {"action": "list", "backend": "candle"}),
]


@asynccontextmanager
async def open_door(
    submit: Callable[[Request], asyncio.Task[None]], keys: Sequence[Key]
) -> AsyncIterator[tuple[ZmqDoor, ConnectionInfo]]:
    """The ZeroMQ door for the time of a block, with something else than a kernel behind it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    info, sockets = bind_sockets(ConnectionInfo(key=SECRET), context)
    door = ZmqDoor(info, sockets, KeyRing(SECRET.encode(), keys))
    door.open(submit, Clients(limit=1))
    try:
        yield door, info
    finally:
        door.close()
        context.term()


@pytest.mark.parametrize(("rights", "given"), [({"infer"}, None), ({"infer", "execute"}, "typed")])
def test_an_answer_to_a_question_is_taken_from_a_key_that_may_execute_alone(
    rights: set[Capability], given: str | None
) -> None:
    async def main() -> None:
        questions: list[asyncio.Task[str | None]] = []

        def ask_back(request: Request) -> asyncio.Task[None]:
            questions.append(asyncio.ensure_future(request.sink.ask("what?")))
            return asyncio.ensure_future(asyncio.sleep(0))

        key = GUEST._replace(capabilities=frozenset(rights))

        def talk(info: ConnectionInfo) -> None:
            with (
                raw_socket(info, key="a guest's", key_id="guest", name="it") as shell,
                raw_socket(info, "stdin", key="a guest's", key_id="guest", name="it") as stdin,
            ):
                # A question reaches only a connection that is known: one that has sent something.
                stdin.socket.send(b"noise")
                assert known.wait(20)
                shell.send(shell.message("model_request", {"action": "list", "allow_stdin": True}))
                asked = stdin.receive()
                assert asked.msg_type == "input_request"
                stdin.send(stdin.message("input_reply", {"value": "typed"}))
                # One that is dropped tells that all before it has been read.
                stdin.socket.send(b"noise")
                told.wait(20)

        known, told = threading.Event(), threading.Event()
        async with open_door(ask_back, [key]) as (door, info):
            talking = asyncio.create_task(asyncio.to_thread(talk, info))
            await until(lambda: door.dropped.total() == 1)
            known.set()
            await until(lambda: door.dropped.total() == 2 or talking.done())
            await settle()
            (question,) = questions
            try:
                assert question.done() == (given is not None)
                if given is not None:
                    assert question.result() == given
            finally:
                question.cancel()
                told.set()
                await talking

    asyncio.run(main())


def test_what_goes_wrong_with_one_message_keeps_no_other_from_being_read(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        came: list[str] = []

        def fail_at_first(request: Request) -> asyncio.Task[None]:
            came.append(request.id)
            if len(came) == 1:
                raise RuntimeError("an error of ours")
            return asyncio.ensure_future(asyncio.sleep(0))

        async with open_door(fail_at_first, []) as (_door, info):
            with raw_socket(info) as raw:
                messages = [raw.message("kernel_info_request", {}) for _ in range(200)]
                for message in messages:
                    raw.send(message)
                await until(lambda: len(came) == len(messages))
                assert came == [message.msg_id for message in messages]

    asyncio.run(main())
    assert re.search("incident [0-9a-f]{8} in a message on shell", caplog.text)


def beside_a_kernel(home: Path, talk: Callable[[ConnectionInfo], None]) -> None:
    """Runs what talks over blocking sockets while a kernel with both keys serves."""

    async def main() -> None:
        async with kernel_in_process(home, keys=[GUEST]) as kernel:
            await asyncio.to_thread(talk, kernel.info)

    asyncio.run(main())


def ask(raw: RawSocket, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
    """The content of a reply."""
    request = raw.message(msg_type, content)
    raw.send(request)
    return raw.reply_to(request).content


def test_a_key_that_may_only_infer_gets_nothing_else_and_is_answered_with_its_own_signature(home: Path) -> None:
    def talk(info: ConnectionInfo) -> None:
        with (
            raw_socket(info, "shell", key="a guest's", key_id="guest") as shell,
            raw_socket(info, "control", key="a guest's", key_id="guest") as control,
        ):
            sockets = {"shell": shell, "control": control}
            for channel, msg_type, content in ALLOWED:
                assert ask(sockets[channel], msg_type, content)["status"] == "ok", msg_type
            for channel, msg_type, content in FORBIDDEN:
                reply = ask(sockets[channel], msg_type, content)
                assert reply.get("code") == "forbidden", (msg_type, reply)
            request = shell.message("kernel_info_request", {})
            shell.send(request)
            with pytest.raises(WireError, match="signature"):
                Wire(SECRET.encode()).unpack(shell.socket.recv_multipart())
        with raw_socket(info) as owner:
            assert ask(owner, "history_request", {})["status"] == "ok"

    beside_a_kernel(home, talk)


def test_a_key_signs_for_no_routing_id_but_its_own(home: Path) -> None:
    def talk(info: ConnectionInfo) -> None:
        with (
            raw_socket(info, key="a guest's") as as_owner,
            raw_socket(info, key_id="guest") as as_guest,
            raw_socket(info, key="a guest's", key_id="unknown") as as_another,
            Client(info).connect(60.0) as owner,
        ):
            for raw in (as_owner, as_guest, as_another):
                raw.send(raw.message("kernel_info_request", {}))
            wait_until(owner, lambda status: status["metrics"]["messages_dropped"] == {"signature": 3})

    beside_a_kernel(home, talk)


def test_a_request_with_the_id_of_anothers_hides_neither(home: Path) -> None:
    def talk(info: ConnectionInfo) -> None:
        with raw_socket(info) as first, raw_socket(info) as second:
            isolated = {"llmspell": {"isolated": True}}
            works = [raw.message("execute_request", {"code": "Utils.sleep(600)"}, isolated) for raw in (first, second)]
            works[1].header["msg_id"] = works[0].msg_id
            first.send(works[0])
            assert ask(first, "kernel_request", {"action": "status"})["active_requests"] == 1
            second.send(works[1])
            assert ask(second, "kernel_request", {"action": "status"})["active_requests"] == 2
            for raw, work in ((first, works[0]), (second, works[1])):
                raw.send(raw.message("kernel_request", {"action": "cancel", "msg_id": work.msg_id}))
                assert raw.reply_to(work).content["code"] == "cancelled"

    beside_a_kernel(home, talk)


def test_a_session_of_the_same_name_under_another_key_is_another(home: Path) -> None:
    def talk(info: ConnectionInfo) -> None:
        with raw_socket(info) as owner, raw_socket(info, key="a guest's", key_id="guest") as guest:
            work = owner.message("execute_request", {"code": "Utils.sleep(600)"}, {"llmspell": {"isolated": True}})
            owner.send(work)
            assert ask(owner, "kernel_request", {"action": "status"})["active_requests"] == 1
            guest.headers = owner.headers
            cancel = {"action": "cancel", "msg_id": work.msg_id}
            assert ask(guest, "kernel_request", cancel)["code"] == "forbidden"
            owner.send(owner.message("kernel_request", cancel))
            assert owner.reply_to(work).content["code"] == "cancelled"

    beside_a_kernel(home, talk)
