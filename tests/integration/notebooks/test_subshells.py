"""Subshells (JEP 91): asked for on control, each with variables of its own, beside a main context that computes."""

from __future__ import annotations

from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Cell, Frontend, Json, ask, finish_cell, run_cell

ENDLESS = "print('running') while true do end"


def send_to(client: Client, subshell: Any, code: str) -> str:
    """Sends a cell for a subshell; returns its message's id."""
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
    message = client.session.msg("execute_request", content)
    message["header"]["subshell_id"] = subshell
    client.shell_channel.send(message)
    return str(message["header"]["msg_id"])


def run_in(client: Client, subshell: Any, code: str) -> Cell:
    """A finished cell of a subshell."""
    return finish_cell(client, send_to(client, subshell, code))


def create(client: Client) -> str:
    """A new subshell's id."""
    reply = ask(client, "control", "create_subshell_request")
    assert reply["status"] == "ok"
    return str(reply["subshell_id"])


def listed(client: Client) -> list[str]:
    """The ids of all subshells."""
    return list(ask(client, "control", "list_subshell_request")["subshell_id"])


def delete(client: Client, subshell: str) -> Json:
    """The reply."""
    return ask(client, "control", "delete_subshell_request", {"subshell_id": subshell})


def test_the_kernel_says_that_it_has_subshells(client: Client) -> None:
    assert "kernel subshells" in ask(client, "shell", "kernel_info_request")["supported_features"]


def test_subshells_are_created_listed_and_deleted(client: Client) -> None:
    before = listed(client)
    first, second = create(client), create(client)
    assert listed(client) == [*before, first, second]
    assert delete(client, first) == {"status": "ok"}
    assert listed(client) == [*before, second]
    gone = delete(client, first)
    assert (gone["status"], gone["code"], gone["details"]) == ("error", "not_found", {"subshell_id": first})
    delete(client, second)


def test_a_subshell_has_variables_and_a_count_of_its_own(client: Client) -> None:
    run_cell(client, "here = 'main'")
    subshell = create(client)
    cell = run_in(client, subshell, "return tostring(here)")
    assert (cell.value, cell.reply["execution_count"]) == ('"nil"', 1)
    run_in(client, subshell, "here = 'beside'")
    assert run_cell(client, "return here").value == '"main"'
    assert run_in(client, subshell, "return here").value == '"beside"'
    assert run_in(client, None, "return here").value == '"main"'
    delete(client, subshell)


def test_a_cell_of_a_subshell_runs_beside_a_busy_main_one_and_says_whose_it_is(client: Client) -> None:
    subshell = create(client)
    run_in(client, subshell, "return 1")
    main = client.execute(ENDLESS, allow_stdin=False)
    while client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    beside = send_to(client, subshell, "print('beside') return 6 * 7")
    parents = []
    while not parents or parents[-1][:2] != ("status", "idle"):
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"]["msg_id"] == beside:
            state = message["content"].get("execution_state", "")
            parents.append((message["msg_type"], state, message["parent_header"]["subshell_id"]))
    kinds = [kind for kind, _, _ in parents]
    assert kinds == ["status", "execute_input", "stream", "execute_result", "status"]
    assert {named for _, _, named in parents} == {subshell}
    reply = client.get_shell_msg(timeout=DEADLINE_S)
    assert (reply["parent_header"]["msg_id"], reply["content"]["status"]) == (beside, "ok")
    assert reply["parent_header"]["subshell_id"] == subshell
    ask(client, "control", "interrupt_request")
    assert finish_cell(client, main).reply["code"] == "cancelled"
    delete(client, subshell)


def test_an_interrupt_reaches_the_main_context_and_the_subshells(client: Client) -> None:
    subshell = create(client)
    both = [client.execute(ENDLESS, allow_stdin=False), send_to(client, subshell, ENDLESS)]
    running = set()
    while running != set(both):
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "stream":
            running.add(message["parent_header"]["msg_id"])
    ask(client, "control", "interrupt_request")
    replies = {}
    while set(replies) != set(both):
        message = client.get_shell_msg(timeout=DEADLINE_S)
        replies[message["parent_header"]["msg_id"]] = message["content"]["code"]
    assert set(replies.values()) == {"cancelled"}
    delete(client, subshell)


def test_what_runs_in_a_subshell_ends_when_it_is_deleted(client: Client) -> None:
    subshell = create(client)
    cell = send_to(client, subshell, ENDLESS)
    while client.get_iopub_msg(timeout=DEADLINE_S)["msg_type"] != "stream":
        pass
    delete(client, subshell)
    assert finish_cell(client, cell).reply["status"] == "error"
    assert run_cell(client, "return 1").value == "1"


def test_an_unknown_subshell_is_an_error_with_busy_and_idle_around_it(client: Client) -> None:
    cell = run_in(client, "no-such-subshell", "return 1")
    assert (cell.reply["status"], cell.reply["code"]) == ("error", "not_found")
    assert cell.reply["evalue"] == "there is no subshell 'no-such-subshell'"
    assert [content["execution_state"] for content in cell.of("status")] == ["busy", "idle"]
    wrong = run_in(client, 7, "return 1")
    assert wrong.reply["code"] == "invalid_request"


def test_introspection_of_a_subshell_sees_its_variables(client: Client) -> None:
    subshell = create(client)
    run_in(client, subshell, "only_here = 1")
    for named, found in ((subshell, True), (None, False)):
        message = client.session.msg("complete_request", {"code": "only_he", "cursor_pos": 7})
        message["header"]["subshell_id"] = named
        client.shell_channel.send(message)
        reply = client.get_shell_msg(timeout=DEADLINE_S)
        assert ("only_here" in reply["content"]["matches"]) is found
    delete(client, subshell)


def test_a_restart_has_no_subshells(frontend: Frontend, own: tuple[KernelManager, Client]) -> None:
    manager, client = own
    create(client)
    manager.restart_kernel()
    client.wait_for_ready(timeout=DEADLINE_S)
    assert listed(client) == []
