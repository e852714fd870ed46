"""The synchronous client over real sockets: streams, ends of every kind, and Ctrl-C at the worst moments."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.client.events import Delta, Output, Progress
from llmspell_protocol.client.sync import Client, Pending
from llmspell_protocol.connection import ConnectionInfo, Transport
from llmspell_protocol.errors import (
    Cancelled,
    Internal,
    KernelUnreachable,
    Timeout,
    Unauthorized,
    Unsupported,
)
from llmspell_protocol.messages import Message
from tests.support.client_scenes import SOCKETS, TRANSPORTS, Start, connected, silence, stream_of
from tests.support.scripted_kernel import KERNEL_INFO, Answer


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_stream_arrives_piece_by_piece_and_ends_with_its_reply(start: Start, transport: Transport) -> None:
    kernel = start(transport, stream_of(3))
    with connected(kernel) as client:
        pending = client.request("model_request", {"action": "chat"})
        events = list(pending)
        assert isinstance(events[0], Progress)
        assert [event.content["text"] for event in events if isinstance(event, Delta)] == ["1 ", "2 ", "3 "]
        assert pending.result().content["count"] == 3


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_requests_under_way_at_once_may_be_awaited_in_any_order(start: Start, transport: Transport) -> None:
    kernel = start(transport, stream_of(200))
    with connected(kernel) as client:
        pending = [client.request("model_request", {"who": f"{who}:"}) for who in range(5)]
        for who, request in reversed(list(enumerate(pending))):
            texts = [event.content["text"] for event in request if isinstance(event, Delta)]
            assert texts == [f"{who}:{number} " for number in range(1, 201)]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_every_open_request_fails_at_once_when_the_kernel_dies(start: Start, transport: Transport) -> None:
    def script(message: Message) -> Iterator[Answer]:
        if message.content.get("last"):
            yield "shell", "model_delta", {"text": "before the end", "seq": 0}
            kernel.die()

    kernel = start(transport, script)
    with connected(kernel) as client:
        waiting = client.request("model_request", {})
        dying = client.request("model_request", {"last": True})
        assert [event.content["text"] for event in dying if isinstance(event, Delta)] == ["before the end"]
        for pending in (waiting, dying):
            with pytest.raises(KernelUnreachable, match="connection broke"):
                pending.result()
        assert client.lost is not None
        with pytest.raises(KernelUnreachable):
            client.request("model_request", {})


@pytest.mark.parametrize("transport", SOCKETS)
def test_where_nothing_listens_the_refusal_is_told_and_no_time_out(tmp_path: Path, transport: Transport) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        info = ConnectionInfo.consecutive("127.0.0.1", min(free.getsockname()[1], 65531), "key")
    if transport == "ipc":
        info = info._replace(transport="ipc", ip=str(tmp_path / "k"))
    with pytest.raises(KernelUnreachable, match=r"refused|nothing listens") as caught:
        Client(info).connect()
    assert info.address in caught.value.message
    assert caught.value.hint


def test_a_host_that_does_not_exist_is_named() -> None:
    info = ConnectionInfo.consecutive("no-such-host.invalid", 9555, "key")
    with pytest.raises(KernelUnreachable, match=r"no-such-host\.invalid:9555"):
        Client(info).connect()


def test_what_listens_and_is_no_kernel_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        info = ConnectionInfo.consecutive("127.0.0.1", min(server.getsockname()[1], 65531), "key")
        with pytest.raises(KernelUnreachable, match=r"closed at once|does not speak ZeroMQ"):
            Client(info).connect()
        thread.join()


@pytest.mark.parametrize("transport", SOCKETS)
def test_a_wrong_key_is_told_apart_from_a_dead_kernel(start: Start, transport: Transport) -> None:
    kernel = start(transport, silence)
    with pytest.raises(Unauthorized, match="does not accept the key"):
        Client(kernel.info._replace(key="guessed")).connect()


def test_a_kernel_that_only_takes_connections_does_not_reply(start: Start) -> None:
    kernel = start("tcp", silence, kernel_info=None, heartbeat=False)
    with pytest.raises(KernelUnreachable, match="no reply"):
        Client(kernel.info).connect(timeout_s=0.4)


def test_without_a_key_nothing_is_sent(start: Start) -> None:
    kernel = start("tcp", silence)
    with pytest.raises(Unauthorized, match="needs its key"):
        Client(kernel.info._replace(key="")).connect()


def test_a_newer_major_protocol_ends_the_connection_and_a_newer_minor_one_does_not(start: Start) -> None:
    newer = start("tcp", silence, kernel_info={**KERNEL_INFO, "llmspell": {"protocol": "2.0"}})
    with pytest.raises(Unsupported, match=r"speaks protocol 2\.0"):
        Client(newer.info).connect()
    minor = start("tcp", silence, kernel_info={**KERNEL_INFO, "llmspell": {"protocol": "1.7"}})
    with connected(minor) as client:
        assert client.kernel_info["llmspell"]["protocol"] == "1.7"


def test_a_gap_in_the_numbers_is_a_defect(start: Start) -> None:
    def script(message: Message) -> Iterator[Answer]:
        yield "shell", "model_delta", {"text": "a", "seq": 0}
        yield "shell", "model_reply", {"status": "ok", "seq": 2}

    with connected(start("tcp", script)) as client, pytest.raises(Internal, match="number 1 is missing"):
        client.request("model_request", {}).result()


def test_time_that_is_over_cancels_the_request_at_the_kernel(start: Start) -> None:
    cancelled: list[str] = []
    seen = threading.Event()

    def script(message: Message) -> Iterator[Answer]:
        if message.content.get("action") == "cancel":
            cancelled.append(message.content["msg_id"])
            seen.set()
        yield from ()

    with connected(start("tcp", script)) as client:
        pending = client.request("model_request", {"action": "chat"}, timeout_s=0.05)
        with pytest.raises(Timeout):
            pending.result()
        assert seen.wait(60.0)
        assert cancelled == [pending.msg_id]


def test_a_wait_may_end_before_its_request(start: Start) -> None:
    go_on = threading.Event()

    def script(message: Message) -> Iterator[Answer]:
        go_on.wait(60.0)
        yield "shell", "model_reply", {"status": "ok", "seq": 0}

    with connected(start("tcp", script)) as client:
        pending = client.request("model_request", {})
        with pytest.raises(Timeout, match="has not ended"):
            pending.result(timeout_s=0.02)
        go_on.set()
        assert pending.result(timeout_s=60.0).content["status"] == "ok"


class Cancelling:
    """Answers a request, once `go_on` is set, by SIGINT, and ends it when it is cancelled."""

    def __init__(self) -> None:
        self.waiting: dict[str, Message] = {}
        self.go_on = threading.Event()

    def __call__(self, message: Message) -> Iterator[Answer]:
        if message.content.get("action") != "cancel":
            self.waiting[message.msg_id] = message
            self.go_on.wait(60.0)
            self.go_on.clear()
            os.kill(os.getpid(), signal.SIGINT)
            return
        yield "control", "kernel_reply", {"status": "ok", "seq": 0}
        message.header = self.waiting.pop(message.content["msg_id"]).header
        yield "shell", "model_reply", {**Cancelled("the client cancelled it").to_content(), "seq": 0}


def interrupted(script: Cancelling, pending: Pending) -> None:
    script.go_on.set()
    pending.result(timeout_s=60.0)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ctrl_c_while_waiting_leaves_a_client_that_can_cancel(start: Start, transport: Transport) -> None:
    script = Cancelling()
    kernel = start(transport, script)
    with connected(kernel) as client:
        for _ in range(3):
            pending = client.request("model_request", {"action": "chat"})
            with pytest.raises(KeyboardInterrupt):
                interrupted(script, pending)
            pending.cancel()
            with pytest.raises(Cancelled, match="the client cancelled it"):
                pending.result(timeout_s=2.0)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ctrl_c_at_any_moment_of_a_stream_loses_no_message(start: Start, transport: Transport) -> None:
    count = 3000

    def script(message: Message) -> Iterator[Answer]:
        for number in range(count):
            yield "shell", "model_delta", {"text": "x", "seq": number}
            if number % 20 == 19:
                handled.clear()
                os.kill(os.getpid(), signal.SIGINT)
                handled.wait(60.0)
        yield "shell", "model_reply", {"status": "ok", "seq": count}

    # Each Ctrl-C disarms itself and the loop arms it again, so that none strikes outside the client's own code.
    interrupts, armed, handled = 0, False, threading.Event()

    def interrupt(number: int, frame: object) -> None:
        nonlocal interrupts, armed
        handled.set()
        if armed:
            interrupts, armed = interrupts + 1, False
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with connected(start(transport, script)) as client:
            pending = client.request("model_request", {})
            while not pending.done:
                try:
                    armed = True
                    pending.result(timeout_s=30.0)
                    armed = False
                except KeyboardInterrupt:
                    continue
            # A lost message would have left a gap in the numbers, and the result would be that error.
            assert pending.result().content["status"] == "ok"
    finally:
        signal.signal(signal.SIGINT, before)
    assert interrupts > 10


def test_a_handler_of_the_program_s_own_still_gets_ctrl_c(start: Start) -> None:
    caught: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: caught.append(number))
    try:

        def script(message: Message) -> Iterator[Answer]:
            os.kill(os.getpid(), signal.SIGINT)
            yield "shell", "model_reply", {"status": "ok", "seq": 0}

        with connected(start("tcp", script)) as client:
            client.request("model_request", {}).result(timeout_s=60.0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_kernel_may_ask_for_input(start: Start, transport: Transport) -> None:
    execute: list[Message] = []

    def script(message: Message) -> Iterator[Answer]:
        if message.msg_type == "execute_request":
            execute.append(message)
            yield "stdin", "input_request", {"prompt": "name? ", "password": False}
        elif message.msg_type == "input_reply":
            answer = message.content
            message.header = execute.pop().header
            yield "shell", "execute_reply", {"status": "ok", "seq": 0, **answer}

    asked: list[tuple[str, bool]] = []

    def on_input(prompt: str, password: bool) -> str | None:
        asked.append((prompt, password))
        if len(asked) == 2:
            raise EOFError
        return "Ada"

    content = {"code": "…", "allow_stdin": True}
    with connected(start(transport, script)) as client:
        reply = client.request("execute_request", content, on_input=on_input).result(timeout_s=60.0)
        assert reply.content["value"] == "Ada"
        reply = client.request("execute_request", content, on_input=on_input).result(timeout_s=60.0)
        assert reply.content["eof"] is True
    assert asked == [("name? ", False)] * 2


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_output_comes_to_clients_that_subscribe(start: Start, transport: Transport) -> None:
    def script(message: Message) -> Iterator[Answer]:
        yield "iopub", "status", {"execution_state": "busy"}
        yield "shell", "execute_reply", {"status": "ok"}
        yield "iopub", "stream", {"name": "stdout", "text": "late"}
        yield "iopub", "status", {"execution_state": "idle"}

    with connected(start(transport, script)) as client:
        client.subscribe(60.0)
        events = list(client.request("execute_request", {"code": "…"}, output=True))
        assert [event.content["text"] for event in events if isinstance(event, Output)] == ["late"]
