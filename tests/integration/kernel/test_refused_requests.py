"""Requests that a real kernel refuses before it reads them: ids that run already, and contents that hold too much."""

from __future__ import annotations

import pytest

from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import Channel
from llmspell_protocol.errors import InvalidRequest
from tests.support.kernels import KernelProcess
from tests.support.raw_sockets import raw_socket
from tests.support.steering import ask_kernel, wait_until

ENDLESS = {"code": "while true do end"}
ISOLATED = {"llmspell": {"isolated": True, "name": "test.lua"}}


def test_a_reused_id_hides_nothing_from_status_cancel_and_the_end_of_its_client(kernel: KernelProcess) -> None:
    with kernel.client() as observer, raw_socket(kernel.info, name="one") as shell:
        with raw_socket(kernel.info, "control", name="one") as control:
            work = shell.message("execute_request", ENDLESS, ISOLATED)
            shell.send(work)
            wait_until(observer, lambda status: status["active_requests"] == 1)
            for raw in (shell, control):
                again = raw.message("model_request", {"action": "list", "backend": "candle"})
                again.header["msg_id"] = work.msg_id
                raw.send(again)
                assert raw.reply_to(again).content["code"] == "invalid_request"
            queued = ask_kernel(observer, "queue")["requests"]
            assert [request["msg_id"] for request in queued] == [work.msg_id]
            with raw_socket(kernel.info) as another:
                same = another.message("kernel_info_request", {})
                same.header["msg_id"] = work.msg_id
                another.send(same)
                assert another.reply_to(same).content["status"] == "ok", "ids are a client's own"
            ask_kernel(observer, "cancel", msg_id=work.msg_id)
            assert shell.reply_to(work).content["code"] == "cancelled"
            later = shell.message("execute_request", ENDLESS, ISOLATED)
            shell.send(later)
            wait_until(observer, lambda status: status["active_requests"] == 1)
        shell.close()
        wait_until(observer, lambda status: status["active_requests"] == 0)


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_a_request_of_endless_maps_is_answered_with_what_is_allowed(
    kernel: KernelProcess, channel: Channel, encoding: str
) -> None:
    with raw_socket(kernel.info, channel) as raw, kernel.client() as client:
        before = ask_kernel(client, "metrics")["memory_bytes"]
        for place in ("content", "metadata"):
            request = raw.message("model_request", {"action": "list"})
            setattr(request, place, {"action": "list", "x": [{}] * 8_000_000})
            request.encoding = encoding
            raw.send(request)
            reply = raw.reply_to(request).content
            assert (reply["code"], reply["retryable"]) == ("invalid_request", False)
            assert "262144 lists and maps" in reply["message"]
        assert ask_kernel(client, "metrics")["memory_bytes"] - before < 300 << 20


def test_our_client_says_what_is_too_large_before_it_sends(kernel: KernelProcess) -> None:
    with Client(kernel.info).connect(60.0) as client:
        with pytest.raises(InvalidRequest, match="beside its buffers"):
            client.request("execute_request", {"code": "x" * (33 << 20)}).result()
        assert ask_kernel(client, "status")["status"] == "ok"
