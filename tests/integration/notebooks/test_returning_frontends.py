"""Clients of jupyter_client on one session, as a notebook server has when a laptop wakes up: the newest is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from llmspell_protocol.client.sync import Client as OwnClient
from llmspell_protocol.connection import ConnectionInfo
from tests.support.jupyter import DEADLINE_S, Frontend, Json, ask, reply_to

WAITING = """
print('before')
while State.load('global', 'go') == nil do end
print('meanwhile')
return 6 * 7
"""


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


def own_client(manager: KernelManager) -> OwnClient:
    """A client of another session, which listens to nothing."""
    return OwnClient(ConnectionInfo.read(manager.connection_file)).connect(DEADLINE_S)


def published_for(client: Client, msg_id: str) -> list[tuple[str, Json]]:
    """What IOPub says for a cell, up to its idle."""
    found: list[tuple[str, Json]] = []
    while not found or found[-1] != ("status", {"execution_state": "idle"}):
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") == msg_id:
            found.append((message["msg_type"], message["content"]))
    return found


def begun(client: Client) -> str:
    """Sends a cell that waits for a word, and takes its first output."""
    client.wait_for_ready(timeout=DEADLINE_S)
    msg_id = client.execute(WAITING, allow_stdin=False)
    while client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    return str(msg_id)


def let_go(other: OwnClient) -> None:
    """Says the word."""
    content = {"action": "set", "scope": "global", "key": "go", "value": True}
    other.request("state_request", content).result()


def executions(other: OwnClient) -> int:
    """How many cells run."""
    queued = other.request("kernel_request", {"action": "queue"}).result().content["requests"]
    return sum(one["type"] == "execute_request" for one in queued)


def until_gone(other: OwnClient, before: int) -> None:
    """Waits until the kernel has noticed that a frontend is gone."""
    while other.request("kernel_request", {"action": "status"}).result().content["clients"] >= before:
        pass


def clients_of(other: OwnClient) -> int:
    """How many clients are connected."""
    return int(other.request("kernel_request", {"action": "status"}).result().content["clients"])


@pytest.mark.parametrize("ends_meanwhile", [True, False])
def test_a_frontend_that_vanishes_in_mid_cell_and_comes_back_sees_all_the_rest(
    frontend: Frontend, ends_meanwhile: bool
) -> None:
    with frontend.kernel() as manager, ExitStack() as stack:
        with client_of(manager) as first:
            cell = begun(first)
            other = stack.enter_context(own_client(manager))
            before = clients_of(other)
        until_gone(other, before)
        if ends_meanwhile:
            let_go(other)
            while executions(other):
                pass
        with client_of(manager) as second:
            second.kernel_info()
            if not ends_meanwhile:
                let_go(other)
            shown = published_for(second, cell)
            assert [content["text"] for kind, content in shown if kind == "stream"] == ["meanwhile\n"]
            assert [content["data"] for kind, content in shown if kind == "execute_result"] == [{"text/plain": "42"}]
            assert reply_to(second, cell)["status"] == "ok"


def test_what_was_lost_of_too_much_output_is_said(frontend: Frontend) -> None:
    with frontend.kernel() as manager, ExitStack() as stack:
        with client_of(manager) as first:
            first.wait_for_ready(timeout=DEADLINE_S)
            other = stack.enter_context(own_client(manager))
            before = clients_of(other)
        until_gone(other, before)
        # Each cell is told with three messages at least.
        for pending in [other.request("execute_request", {"code": f"x = {number}"}) for number in range(400)]:
            pending.result()
        with client_of(manager) as second:
            shown: list[Json] = []
            while not shown or shown[-1].get("code") != "x = 399":
                shown.append(second.get_iopub_msg(timeout=DEADLINE_S)["content"])
            (told,) = [content["text"] for content in shown if content.get("name") == "stderr"]
            assert "messages of output were lost while no frontend was connected" in told


def test_a_frontend_whose_subscription_comes_late_sees_its_first_cell(frontend: Frontend) -> None:
    with frontend.kernel() as manager:
        late = manager.client()
        late.start_channels(iopub=False, hb=False)
        try:
            assert_is_answered(late)
            cell = late.execute("print('early') return 7", allow_stdin=False)
            assert reply_to(late, cell)["status"] == "ok"
            late.iopub_channel.start()
            shown = published_for(late, cell)
            assert [kind for kind, _ in shown] == ["status", "execute_input", "stream", "execute_result", "status"]
        finally:
            late.stop_channels()


def test_a_frontend_of_another_session_is_not_given_the_reply(frontend: Frontend) -> None:
    with frontend.kernel() as manager, ExitStack() as stack:
        with client_of(manager) as first:
            begun(first)
            other = stack.enter_context(own_client(manager))
            before = clients_of(other)
        until_gone(other, before)
        let_go(other)
        while executions(other):
            pass
        with frontend.client(manager) as stranger:
            asked = stranger.kernel_info()
            assert stranger.get_shell_msg(timeout=DEADLINE_S)["parent_header"]["msg_id"] == asked
