"""A kernel at its sockets: what it answers, what it drops, and how it treats slow, hostile and vanishing clients."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.embedded import EmbeddedKernel
from llmspell_protocol.client.events import Delta
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import CHANNELS
from llmspell_protocol.errors import Busy, Cancelled, InvalidRequest, NotFound, Timeout
from llmspell_protocol.wire import Wire
from tests.support.asking_again import asked_until
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import raw_socket
from tests.support.steering import wait_until

ENDLESS = "while true do end"
LESS_THAN_A_SCRIPT_MAY_COMPUTE_S = 15.0
"""After thirty seconds of computing a script is ended, whether or not a client waits for it."""


@pytest.fixture
def client(kernel: KernelProcess) -> Iterator[Client]:
    with kernel.client() as connected:
        yield connected


def isolated(**options: object) -> dict[str, object]:
    return {"llmspell": {"isolated": True, "name": "test.lua", **options}}


def wait_until_running(client: Client, msg_id: str) -> None:
    """Asks the kernel until it has the request; each question is a round trip, so nothing spins."""
    for _ in range(10_000):
        requests = client.request("kernel_request", {"action": "queue"}, channel="control").result().content["requests"]
        if any(request["msg_id"] == msg_id for request in requests):
            return
    pytest.fail(f"the kernel never started {msg_id}")


def wait_until_quiet(client: Client, *, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        reply = client.request("kernel_request", {"action": "queue"}, channel="control").result()
        if not reply.content["requests"]:
            return
    pytest.fail("the kernel still works on something")


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info_is_answered_on_shell_and_on_control(client: Client, channel: str) -> None:
    content = client.request("kernel_info_request", {}, channel=channel).result().content  # type: ignore[arg-type]

    assert content["protocol_version"] == "5.5"
    assert content["language_info"]["name"] == "lua"
    assert content["llmspell"]["protocol"] == "1.0"
    assert set(content["llmspell"]["backends"]) == {"ollama", "candle"}


def test_an_unknown_request_gets_an_error_reply_of_its_own_type(kernel: KernelProcess) -> None:
    with raw_socket(kernel.info) as raw:
        request = raw.message("teleport_request", {})
        raw.send(request)
        reply = raw.reply_to(request)

    assert reply.msg_type == "teleport_reply"
    assert reply.content["status"] == "error"
    assert reply.content["code"] == reply.content["ename"] == "unsupported"


def test_inspect_tells_about_the_name_at_the_cursor(client: Client) -> None:
    def inspected() -> dict[str, Any]:
        return client.request("inspect_request", {"code": "LocalLLM.embed(", "cursor_pos": 15}).result().content

    client.request("execute_request", {"code": "return 1"}).result()  # a context that starts is not waited for as long
    told = asked_until(inspected, lambda told: bool(told["found"]))
    assert told["found"]
    assert told["data"]["text/plain"].startswith("LocalLLM.embed(texts[, model]) → table\n\nOne vector")
    told = client.request("inspect_request", {"code": "no_such_name", "cursor_pos": 3}).result().content
    assert (told["found"], told["data"]) == (False, {})


def test_a_reply_uses_the_encoding_of_its_request(kernel: KernelProcess) -> None:
    with raw_socket(kernel.info) as raw:
        for encoding in ("json", "msgpack"):
            request = raw.message("kernel_info_request", {})
            request.encoding = encoding
            raw.send(request)
            assert raw.reply_to(request).encoding == encoding


def test_a_message_with_a_wrong_signature_is_dropped_and_counted(kernel: KernelProcess, client: Client) -> None:
    with raw_socket(kernel.info) as raw:
        unsigned = Wire(b"not the key").pack(raw.message("kernel_info_request", {}))
        raw.socket.send_multipart(unsigned)
        signed = raw.message("kernel_info_request", {})
        raw.send(signed)
        assert raw.receive().parent_id == signed.msg_id, "the first one is not answered"

    metrics = client.request("kernel_request", {"action": "metrics"}).result().content
    assert metrics["messages_dropped"] == {"signature": 1}


@pytest.mark.parametrize("options", [{1: 2}, "isolated", ["isolated"], {"timeout_s": float("inf")}])
def test_options_that_make_no_sense_are_answered_and_what_came_with_them_too(
    kernel: KernelProcess, options: object
) -> None:
    with raw_socket(kernel.info) as raw:
        nonsense = raw.message("execute_request", {"code": "return 1"}, {"llmspell": options})
        nonsense.encoding = "msgpack"
        after = raw.message("kernel_info_request", {})
        raw.send(nonsense)
        raw.send(after)
        replies = {message.parent_id: message.content for message in (raw.receive(), raw.receive())}
    assert replies[nonsense.msg_id]["code"] == "invalid_request"
    assert "metadata.llmspell" in replies[nonsense.msg_id]["message"]
    assert replies[after.msg_id]["status"] == "ok"


def test_the_same_message_sent_twice_is_answered_once(kernel: KernelProcess, client: Client) -> None:
    with raw_socket(kernel.info) as raw:
        request = raw.message("kernel_info_request", {})
        frames = raw.send(request)
        raw.reply_to(request)
        raw.socket.send_multipart(frames)
        last = raw.message("kernel_info_request", {})
        raw.send(last)
        assert raw.receive().parent_id == last.msg_id

    metrics = client.request("kernel_request", {"action": "metrics"}).result().content
    assert metrics["messages_dropped"] == {"replay": 1}


def test_noise_at_all_five_sockets_leaves_the_kernel_answering(kernel: KernelProcess) -> None:
    dice = random.Random(zlib.crc32(b"noise"))
    for channel in CHANNELS:
        with raw_socket(kernel.info, channel) as raw:
            valid = raw._wire.pack(raw.message("kernel_info_request", {}))
            for _ in range(300):
                frames = [bytearray(frame) for frame in valid]
                for _ in range(dice.randint(1, 4)):
                    frame = dice.choice(frames)
                    frame[dice.randrange(len(frame)) if frame else 0 :] = dice.randbytes(dice.randint(0, 40))
                dice.shuffle(frames)
                raw.socket.send_multipart([bytes(frame) for frame in frames[: dice.randint(1, len(frames))]])

    with kernel.client() as client:
        assert client.request("kernel_request", {"action": "status"}).result().content["state"] == "Idle"


def test_a_subscriber_is_welcomed_and_then_sees_busy_and_idle_but_nothing_of_our_own(
    kernel: KernelProcess, client: Client
) -> None:
    with raw_socket(kernel.info, "iopub") as iopub:
        iopub.socket.send(b"\x01")
        # What the kernel published for an earlier request in the moment of the subscription may stand before it.
        while (welcome := iopub.receive()).msg_type == "status":
            pass
        client.request("model_request", {"action": "available"}).result()
        client.request("execute_request", {"code": "print('mine alone')"}, metadata=isolated()).result()
        client.request("kernel_info_request", {}).result()
        published = [iopub.receive() for _ in range(2)]

    assert (welcome.msg_type, welcome.content) == ("iopub_welcome", {"subscription": ""})
    assert [message.content for message in published] == [{"execution_state": "busy"}, {"execution_state": "idle"}]
    assert {message.parent_header["msg_type"] for message in published} == {"kernel_info_request"}


def test_a_slow_reader_gets_every_token_in_order_and_without_a_gap(
    home: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = " ".join(str(number % 10) for number in range(20_000))
    monkeypatch.setenv("LLMSPELL_MOCK_REPLY", words)
    kernel = KernelProcess()
    try:
        with raw_socket(kernel.info, hwm=1) as slow, kernel.client() as other:
            request = slow.message("model_request", {"action": "generate", "model": "mock/slow", "prompt": "go"})
            slow.send(request)
            message = slow.receive()
            # While the slow one reads nothing more, others are served.
            wait_until_quiet(other)

            text, numbers = message.content.get("text", ""), [message.content["seq"]]
            while message.msg_type != "model_reply":
                message = slow.receive()
                numbers.append(message.content["seq"])
                text += message.content.get("text", "")
        assert message.content["status"] == "ok", message.content
        assert text == words
        assert message.content["message"]["content"] == words
        assert numbers == list(range(len(numbers)))
        assert len(numbers) < 20_000, "the reader was never slow enough for anything to wait"
    finally:
        kernel.stop()


def test_one_client_may_cancel_its_request_and_gets_what_came_before(client: Client) -> None:
    pending = client.request(
        "execute_request", {"code": f"print('started') {ENDLESS}"}, metadata=isolated(), timeout_s=30
    )
    for event in pending:
        if isinstance(event, Delta):
            break
    pending.cancel()

    with pytest.raises(Cancelled) as caught:
        pending.result()
    assert caught.value.details["partial"]["stdout"] == "started\n"


def test_cancelling_what_does_not_run_says_so(client: Client) -> None:
    with pytest.raises(NotFound):
        client.request("kernel_request", {"action": "cancel", "msg_id": "no-such-request"}, channel="control").result()


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_the_work_of_a_client_that_vanishes_is_cancelled(transport: str, home: object) -> None:
    kernel = KernelProcess(["--transport", transport])
    try:
        with kernel.client() as client:
            with raw_socket(kernel.info) as raw:
                request = raw.message("execute_request", {"code": ENDLESS}, isolated())
                raw.send(request)
                wait_until_running(client, request.msg_id)
            wait_until_quiet(client, within_s=LESS_THAN_A_SCRIPT_MAY_COMPUTE_S)
    finally:
        kernel.stop()


def test_the_work_of_a_client_whose_process_is_killed_is_cancelled(kernel: KernelProcess, client: Client) -> None:
    script = f"""
import sys
from pathlib import Path
from typing import Any
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import ConnectionInfo
client = Client(ConnectionInfo.read(Path(sys.argv[1]))).connect(60.0)
pending = client.request("execute_request", {{"code": {ENDLESS!r}}}, metadata={isolated()!r})
print(pending.msg_id, flush=True)
pending.result()
"""
    command = [sys.executable, "-c", script, kernel.started["connection_file"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        wait_until_running(client, process.stdout.readline().strip())
        process.kill()

    wait_until_quiet(client, within_s=LESS_THAN_A_SCRIPT_MAY_COMPUTE_S)


def test_an_embedded_kernel_notices_a_client_that_vanishes_when_it_next_sends_to_it(home: Path) -> None:
    kernel = EmbeddedKernel.start(env=os.environ, cwd=home)
    kernel.wait()
    try:
        with Client(kernel.info, context=kernel.context).connect() as client:
            with Client(kernel.info, context=kernel.context).connect() as vanishing:
                code = {"code": "while true do print('still there?') end"}
                pending = vanishing.request("execute_request", code, metadata=isolated())
                assert isinstance(next(iter(pending)), Delta)
            wait_until_quiet(client, within_s=LESS_THAN_A_SCRIPT_MAY_COMPUTE_S)
    finally:
        kernel.stop()


def test_work_that_asks_for_it_outlives_its_client(kernel: KernelProcess, client: Client) -> None:
    with raw_socket(kernel.info) as raw:
        request = raw.message("execute_request", {"code": ENDLESS}, isolated(detach=True))
        raw.send(request)
        wait_until_running(client, request.msg_id)
    with raw_socket(kernel.info) as later:
        later.send(later.message("kernel_info_request", {}))
        later.receive()

    wait_until_running(client, request.msg_id)
    client.request("kernel_request", {"action": "cancel", "msg_id": request.msg_id}, channel="control").result()
    wait_until_quiet(client)


def test_a_request_that_takes_longer_than_it_may_times_out(client: Client) -> None:
    with pytest.raises(Timeout, match=r"timed out after 0\.2 s"):
        client.request("execute_request", {"code": ENDLESS}, metadata=isolated(timeout_s=0.2)).result()


def test_one_client_too_many_is_told_so_and_the_others_are_served(home: object) -> None:
    kernel = KernelProcess(["--max-clients", "2"])
    try:
        with kernel.client() as first, kernel.client() as second, kernel.client() as third:
            first.request("model_request", {"action": "available"}).result()
            second.request("model_request", {"action": "available"}).result()
            with pytest.raises(Busy, match="2 clients already"):
                third.request("model_request", {"action": "available"}).result()
    finally:
        kernel.stop()


def test_a_client_that_speaks_on_control_alone_counts_and_is_served_like_any_other(home: object) -> None:
    kernel = KernelProcess(["--max-clients", "2"])
    listing = {"action": "list", "backend": "candle"}
    try:
        with kernel.client() as observer, raw_socket(kernel.info, "control") as control:
            request = control.message("model_request", listing)
            control.send(request)
            assert control.reply_to(request).content["status"] == "ok"
            work = control.message("execute_request", {"code": ENDLESS}, isolated())
            control.send(work)
            wait_until_running(observer, work.msg_id)
            with kernel.client() as third, pytest.raises(Busy, match="2 clients already"):
                third.request("model_request", listing).result()
            control.socket.close()
            wait_until_quiet(observer, within_s=LESS_THAN_A_SCRIPT_MAY_COMPUTE_S)
            wait_until(observer, lambda status: status["clients"] == 1)
    finally:
        kernel.stop()


def test_the_end_of_a_connection_to_control_ends_nothing_of_a_client_that_is_still_on_shell(
    kernel: KernelProcess, client: Client
) -> None:
    with raw_socket(kernel.info, name="both") as shell:
        work = shell.message("execute_request", {"code": "Utils.sleep(600)"}, isolated())
        shell.send(work)
        with raw_socket(kernel.info, "control", name="both") as control:
            look = control.message("kernel_request", {"action": "queue"})
            control.send(look)
            control.reply_to(look)
        with raw_socket(kernel.info, "control", name="last") as last:
            # The end of the one before stands before the end of this one.
            look = last.message("kernel_request", {"action": "queue"})
            last.send(look)
            last.reply_to(look)
        wait_until(client, lambda status: status["clients"] == 2)
        wait_until_running(client, work.msg_id)


@pytest.mark.parametrize("timeout_s", [float("nan"), float("inf"), -1.0])
def test_a_drain_of_no_possible_time_is_refused(client: Client, timeout_s: float) -> None:
    with pytest.raises(InvalidRequest):
        client.request("kernel_request", {"action": "drain", "timeout_s": timeout_s}).result()
    assert client.request("kernel_request", {"action": "status"}).result().content["state"] == "Idle"


def test_a_cancel_that_overtakes_its_request_still_cancels_it(kernel: KernelProcess) -> None:
    with raw_socket(kernel.info) as shell, raw_socket(kernel.info, channel="control") as control:
        request = shell.message("model_request", {"action": "chat", "model": "mock/a", "prompt": "Hello"})
        early = control.message("kernel_request", {"action": "cancel", "msg_id": request.msg_id})
        early.header["session"] = request.header["session"]
        control.send(early)
        assert control.reply_to(early).content["code"] == "not_found"
        shell.send(request)
        assert shell.reply_to(request).content["code"] == "cancelled"
