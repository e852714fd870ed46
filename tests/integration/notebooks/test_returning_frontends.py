"""Clients of jupyter_client on one session, as a notebook server has when a laptop wakes up: the newest is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Frontend, ask, reply_to


@contextmanager
def client_of(manager: KernelManager) -> Iterator[Client]:
    """A client with the manager's own session, and so its routing id."""
    client = manager.client()
    client.start_channels(hb=False)
    try:
        yield client
    finally:
        client.stop_channels()


def assert_is_answered(client: Client) -> None:
    for channel in ("shell", "control"):
        reply = ask(client, channel, "kernel_info_request")
        assert reply["status"] == "ok", reply


def test_of_two_clients_of_one_manager_the_newest_is_answered_whatever_becomes_of_the_first(
    frontend: Frontend,
) -> None:
    with frontend.kernel() as manager:
        with client_of(manager) as first:
            first.wait_for_ready(timeout=DEADLINE_S)
            assert_is_answered(first)
            with client_of(manager) as second:
                second.wait_for_ready(timeout=DEADLINE_S)
                assert_is_answered(second)
                first.stop_channels()
                assert_is_answered(second)
                second.execute("return 6 * 7", allow_stdin=False)
                assert second.get_shell_msg(timeout=DEADLINE_S)["content"]["status"] == "ok"
        with client_of(manager) as third:
            third.wait_for_ready(timeout=DEADLINE_S)
            assert_is_answered(third)


def test_what_the_old_connection_is_owed_comes_to_the_newest(frontend: Frontend) -> None:
    with frontend.kernel() as manager, client_of(manager) as first:
        first.wait_for_ready(timeout=DEADLINE_S)
        msg_id = first.execute("return io.read()", allow_stdin=True)
        assert first.get_stdin_msg(timeout=DEADLINE_S)["msg_type"] == "input_request"
        with client_of(manager) as second:
            assert_is_answered(second)
            first.stop_channels()
            assert_is_answered(second)
            question = second.get_stdin_msg(timeout=DEADLINE_S)
            assert (question["msg_type"], question["parent_header"]["msg_id"]) == ("input_request", msg_id)
            second.input("a line")
            assert reply_to(second, msg_id)["status"] == "ok"


@pytest.mark.parametrize("times", [20])
def test_a_frontend_may_return_as_often_as_it_likes(frontend: Frontend, times: int) -> None:
    with frontend.kernel() as manager:
        for _ in range(times):
            with client_of(manager) as client:
                assert_is_answered(client)
