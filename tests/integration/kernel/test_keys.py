"""A kernel with two keys: what a message is signed with decides what it may ask for, on every socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.identity import Key
from llmspell_protocol.client.sync import Client
from llmspell_protocol.connection import Channel, ConnectionInfo
from llmspell_protocol.wire import Wire, WireError
from tests.support.kernel_in_process import SECRET, kernel_in_process
from tests.support.raw_sockets import RawSocket, raw_socket
from tests.support.steering import wait_until

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
            Client(info).connect(10.0) as owner,
        ):
            for raw in (as_owner, as_guest, as_another):
                raw.send(raw.message("kernel_info_request", {}))
            wait_until(owner, lambda status: status["metrics"]["messages_dropped"] == {"signature": 3})

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
