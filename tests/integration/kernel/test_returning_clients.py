"""Clients that connect again with the id they had: the newest connection is the client, and gets what is owed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import Channel
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import RawSocket, raw_socket
from tests.support.steering import ask_kernel, wait_until

ENDLESS = {"code": "while true do end"}
ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


@pytest.fixture(params=["tcp", "ipc"])
def kernel(request: pytest.FixtureRequest, home: Path) -> Iterator[KernelProcess]:
    process = KernelProcess(["--transport", request.param])
    yield process
    process.stop()


@pytest.fixture
def observer(kernel: KernelProcess) -> Iterator[Client]:
    with kernel.client() as client:
        yield client


def assert_is_answered(raw: RawSocket) -> None:
    request = raw.message("kernel_info_request", {})
    raw.send(request)
    assert raw.reply_to(request).content["status"] == "ok"


def assert_beats(raw: RawSocket) -> None:
    raw.socket.send_multipart([b"", b"beat"])
    assert raw.socket.recv_multipart() == [b"", b"beat"]


def frontend(kernel: KernelProcess, channel: Channel = "shell"):  # type: ignore[no-untyped-def]
    return raw_socket(kernel.info, channel, key_id="", name="2f1c0f52b1c4d0e")


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("key_id", ["", "conn"])
def test_the_newest_connection_of_an_id_is_answered(kernel: KernelProcess, channel: Channel, key_id: str) -> None:
    def connect():  # type: ignore[no-untyped-def]
        return raw_socket(kernel.info, channel, key_id=key_id, name="0123456789abcdef01234567")

    with connect() as first:
        assert_is_answered(first)
        with connect() as second:
            assert_is_answered(second)
            first.close()
            assert_is_answered(second)
            with connect() as third:
                second.close()
                assert_is_answered(third)
    with connect() as fourth:
        assert_is_answered(fourth)


def test_the_newest_heartbeat_of_an_id_is_echoed(kernel: KernelProcess) -> None:
    with frontend(kernel, "hb") as first:
        assert_beats(first)
        with frontend(kernel, "hb") as second:
            assert_beats(second)
            first.close()
            assert_beats(second)


@pytest.mark.parametrize("speaks", [True, False])
def test_work_goes_on_for_a_frontend_that_has_returned_before_its_old_connection_ended(
    kernel: KernelProcess, observer: Client, speaks: bool
) -> None:
    with frontend(kernel) as old:
        work = old.message("execute_request", ENDLESS, ISOLATED)
        old.send(work)
        wait_until(observer, lambda status: status["active_requests"] == 1)
        with frontend(kernel) as new:
            new.wait_connected()
            if speaks:
                assert_is_answered(new)
            old.close()
            heard_of_ends(kernel)
            assert ask_kernel(observer, "status")["active_requests"] == 1
            ask_kernel(observer, "cancel", msg_id=work.msg_id)
            assert new.reply_to(work).content["code"] == "cancelled"


def heard_of_ends(kernel: KernelProcess) -> None:
    """Returns once the kernel has heard of the end of a connection, and so of those that ended before."""
    with kernel.client() as observer:
        with raw_socket(kernel.info) as passing:
            assert_is_answered(passing)
            clients = ask_kernel(observer, "status")["clients"]
        wait_until(observer, lambda status: status["clients"] < clients)


def test_a_client_of_ours_that_ends_is_gone_though_another_connection_has_not_spoken(
    kernel: KernelProcess, observer: Client
) -> None:
    with raw_socket(kernel.info) as silent, raw_socket(kernel.info) as ours:
        silent.wait_connected()
        ours.send(ours.message("execute_request", ENDLESS, ISOLATED))
        wait_until(observer, lambda status: status["active_requests"] == 1)
        ours.close()
        wait_until(observer, lambda status: status["active_requests"] == 0)


def test_a_frontend_that_does_not_return_is_gone_once_the_silent_connection_ends(
    kernel: KernelProcess, observer: Client
) -> None:
    with raw_socket(kernel.info) as silent, frontend(kernel) as leaving:
        silent.wait_connected()
        leaving.send(leaving.message("execute_request", ENDLESS, ISOLATED))
        wait_until(observer, lambda status: status["active_requests"] == 1)
        leaving.close()
        heard_of_ends(kernel)
        assert ask_kernel(observer, "status")["active_requests"] == 1
        silent.close()
        wait_until(observer, lambda status: status["active_requests"] == 0)


def test_an_id_that_counts_from_the_beginning_again_after_a_return_is_no_reused_one(kernel: KernelProcess) -> None:
    with frontend(kernel) as old:
        work = old.message("execute_request", ENDLESS, ISOLATED)
        old.send(work)
        assert_is_answered(old)
        with frontend(kernel) as new:
            again = new.message("kernel_info_request", {})
            again.header["msg_id"] = work.msg_id
            new.send(again)
            assert new.reply_to(again).content["status"] == "ok"
            cancel = new.message("kernel_request", {"action": "cancel", "msg_id": work.msg_id})
            new.send(cancel)
            assert new.reply_to(cancel).content["status"] == "ok"
            assert new.reply_to(work).content["code"] == "cancelled"


def test_no_other_client_is_told_a_routing_id(kernel: KernelProcess, observer: Client) -> None:
    """Whoever knows it can take what its client is answered."""
    with (
        raw_socket(kernel.info, "iopub") as iopub,
        raw_socket(kernel.info, name="0123456789abcdef01234567") as ours,
        raw_socket(kernel.info, key="no key of this kernel", name="0123456789abcdef01234567f0") as stranger,
    ):
        iopub.socket.send(b"\x01")
        iopub.receive()
        stranger.send(stranger.message("kernel_info_request", {}))
        ours.send(ours.message("execute_request", ENDLESS, ISOLATED))
        assert_is_answered(ours)
        shown = [str(ask_kernel(observer, action)) for action in ("queue", "status", "metrics", "logs")]
        shown.append(str([iopub.receive().parent_header for _ in range(2)]))
    shown.append(Path(kernel.started["log_file"]).read_text())
    for secret in (ours.routing_id, stranger.routing_id):
        random = secret.decode().partition(".")[2]
        for text in shown:
            assert random not in text
            assert secret.hex() not in text
