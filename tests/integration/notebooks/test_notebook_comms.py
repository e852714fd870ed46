"""Comms between cells and a frontend: opened on either side, with buffers, heard between cells, ended with them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient as Client
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Frontend, Json, ask, reply_to, run_cell

IDLE = ("status", {"execution_state": "idle"})


@pytest.fixture(scope="module")
def one(frontend: Frontend, manager: KernelManager) -> Iterator[Client]:
    """The client of this module's tests."""
    with frontend.client(manager) as connected:
        connected.wait_for_ready(timeout=DEADLINE_S)
        yield connected


def send(client: Client, msg_type: str, comm_id: str, buffers: Sequence[bytes] = (), **content: Any) -> str:
    """Sends a comm's message; returns its id."""
    message = client.session.msg(msg_type, {"comm_id": comm_id, "data": {}, **content})
    client.session.send(client.shell_channel.socket, message, buffers=list(buffers))
    return str(message["header"]["msg_id"])


def published(client: Client, msg_id: str) -> list[Json]:
    """What is published for a message from here to its idle; whole messages, without busy and idle."""
    found: list[Json] = []
    while True:
        message = client.get_iopub_msg(timeout=DEADLINE_S)
        if message["parent_header"].get("msg_id") != msg_id:
            continue
        if (message["msg_type"], message["content"]) == IDLE:
            return found
        if message["msg_type"] != "status":
            found.append(message)


def said(client: Client, msg_type: str, comm_id: str, buffers: Sequence[bytes] = (), **content: Any) -> list[Json]:
    """Sends a comm's message and waits for what comes of it."""
    return published(client, send(client, msg_type, comm_id, buffers, **content))


def open_comms(client: Client, **wanted: str) -> Json:
    return dict(ask(client, "shell", "comm_info_request", wanted)["comms"])


def texts(messages: list[Json], stream: str = "stdout") -> str:
    return "".join(
        one["content"]["text"] for one in messages if one["msg_type"] == "stream" and one["content"]["name"] == stream
    )


ECHO = """
Comm.register_target("echo", function(comm, data, buffers)
  comm:on_msg(function(data, buffers)
    print("heard", data.text, #buffers)
    comm:send({text = data.text, sizes = {#(buffers[1] or "")}}, {buffers = buffers, metadata = {kind = "answer"}})
  end)
  comm:on_close(function(data) print("closed", data.why) end)
  comm:send{hello = data.name}
end)
"""


def test_a_frontend_opens_a_comm_talks_and_closes_it(one: Client) -> None:
    run_cell(one, ECHO)
    (hello,) = said(one, "comm_open", "c1", target_name="echo", data={"name": "Ada"})
    assert (hello["msg_type"], hello["content"]) == ("comm_msg", {"comm_id": "c1", "data": {"hello": "Ada"}})
    assert open_comms(one)["c1"] == {"target_name": "echo"}
    buffer = bytes(range(256)) * 10
    printed, answer = said(one, "comm_msg", "c1", [buffer, b""], data={"text": "grün"})
    assert printed["content"]["text"] == "heard\tgrün\t2\n"
    assert answer["content"]["data"] == {"text": "grün", "sizes": [2560]}
    assert [bytes(one) for one in answer["buffers"]] == [buffer, b""]
    assert answer["metadata"] == {"kind": "answer"}
    assert texts(said(one, "comm_close", "c1", data={"why": "done"})) == "closed\tdone\n"
    assert "c1" not in open_comms(one)
    assert said(one, "comm_msg", "c1", data={"text": "x"}) == []


def test_an_unknown_target_is_closed_at_once_and_so_is_one_that_was_taken_back(one: Client) -> None:
    for code in ("", "Comm.register_target('gone', print) Comm.unregister_target('gone')"):
        run_cell(one, code)
        (closed,) = said(one, "comm_open", "c2", target_name="gone")
        assert (closed["msg_type"], closed["content"]["comm_id"]) == ("comm_close", "c2")


def test_a_cell_opens_a_comm_and_the_frontend_answers(one: Client) -> None:
    msg_id = one.execute(
        """
        mine = Comm.new("chart", {points = {1, 2}}, {buffers = {"\\0\\1\\255"}, metadata = {version = "3"}})
        mine:on_msg(function(data) display("picked " .. data.point) end)
        """
    )
    opened = next(one for one in published(one, msg_id) if one["msg_type"] == "comm_open")
    reply_to(one, msg_id)
    comm_id = opened["content"]["comm_id"]
    assert opened["content"] == {"comm_id": comm_id, "target_name": "chart", "data": {"points": [1, 2]}}
    assert opened["metadata"] == {"version": "3"}
    assert [bytes(buffer) for buffer in opened["buffers"]] == [b"\0\1\xff"]
    (shown,) = said(one, "comm_msg", comm_id, data={"point": 7})
    assert (shown["msg_type"], shown["content"]["data"]) == ("display_data", {"text/plain": "picked 7"})
    assert open_comms(one, target_name="chart") == {comm_id: {"target_name": "chart"}}
    assert open_comms(one, target_name="other") == {}
    cell = run_cell(one, "mine:send{1} mine:close{bye = true} return mine.open, #Comm.list()")
    assert cell.of("comm_msg") == [{"comm_id": comm_id, "data": [1]}]
    assert cell.of("comm_close") == [{"comm_id": comm_id, "data": {"bye": True}}]
    assert cell.value == "false  0"
    assert "the comm is closed" in run_cell(one, "mine:send{}").reply["evalue"]


def test_a_flood_of_messages_is_slowed_down_and_arrives_whole(one: Client) -> None:
    cell = run_cell(one, "local c = Comm.new('many') for i = 1, 800 do c:send{i} end c:close()")
    assert [content["data"] for content in cell.of("comm_msg")] == [[number] for number in range(1, 801)]


def test_a_message_is_heard_while_a_cell_waits(one: Client) -> None:
    run_cell(one, "Comm.register_target('stop', function(c) c:on_msg(function() print('heard') stop = true end) end)")
    said(one, "comm_open", "c3", target_name="stop")
    cell = one.execute("print('waits') stop = false while not stop do Utils.sleep(0.01) end print('goes on')")
    while one.get_iopub_msg(timeout=DEADLINE_S)["content"].get("text") != "waits\n":
        pass
    message = send(one, "comm_msg", "c3")
    found: list[Json] = []
    while len([one for one in found if (one["msg_type"], one["content"]) == IDLE]) < 2:
        found.append(one.get_iopub_msg(timeout=DEADLINE_S))
    of_message = [one for one in found if one["parent_header"]["msg_id"] == message]
    of_cell = [one for one in found if one["parent_header"]["msg_id"] == cell]
    assert [one["content"].get("execution_state", one["content"].get("text")) for one in of_message] == [
        "busy",
        "heard\n",
        "idle",
    ]
    assert texts(of_cell) == "goes on\n"
    assert reply_to(one, cell)["status"] == "ok"


def test_a_busy_cell_is_not_disturbed_and_messages_keep_their_order(one: Client) -> None:
    run_cell(
        one, "heard = {} Comm.register_target('list', function(c) c:on_msg(function(d) heard[#heard + 1] = d end) end)"
    )
    said(one, "comm_open", "c5", target_name="list")
    cell = one.execute("print('computes') local t = os.clock() while os.clock() - t < 0.3 do end return #heard")
    while one.get_iopub_msg(timeout=DEADLINE_S)["content"].get("text") != "computes\n":
        pass
    sent = [send(one, "comm_msg", "c5", data=[number]) for number in range(20)]
    published(one, sent[-1])
    assert reply_to(one, cell)["status"] == "ok"
    assert run_cell(
        one, "local n = {} for i, d in ipairs(heard) do n[i] = d[1] end return JSON.stringify(n)"
    ).value == (f'"[{",".join(map(str, range(20)))}]"')


def test_an_error_of_a_callback_is_shown_with_its_place(one: Client) -> None:
    run_cell(one, "Comm.register_target('bad', function(comm)\n  error('not today')\nend)")
    told = texts(said(one, "comm_open", "c6", target_name="bad"), "stderr")
    assert "open of comm 'bad': In[" in told
    assert ":2: not today" in told
    assert "c6" in open_comms(one)
    said(one, "comm_close", "c6")


def test_a_callback_that_hangs_is_interrupted(one: Client) -> None:
    run_cell(one, "Comm.register_target('hang', function() print('hangs') while true do end end)")
    msg_id = send(one, "comm_open", "c7", target_name="hang")
    while one.get_iopub_msg(timeout=DEADLINE_S)["content"].get("text") != "hangs\n":
        pass
    began = time.monotonic()
    ask(one, "control", "interrupt_request")
    assert "interrupted" in texts(published(one, msg_id), "stderr")
    assert time.monotonic() - began < DEADLINE_S
    assert run_cell(one, "return 1").value == "1"
    said(one, "comm_close", "c7")


def test_a_script_that_is_run_has_no_comms(one: Client) -> None:
    message = one.session.msg(
        "execute_request", {"code": "Comm.new('x')", "silent": False}, metadata={"llmspell": {"isolated": True}}
    )
    one.shell_channel.send(message)
    assert "comms need a frontend" in reply_to(one, message["header"]["msg_id"])["evalue"]


def test_comms_end_with_the_context(own: tuple[KernelManager, Client]) -> None:
    _, client = own
    run_cell(client, ECHO + "mine = Comm.new('chart')")
    said(client, "comm_open", "c8", target_name="echo")
    assert len(open_comms(client)) == 2
    message = client.session.msg(
        "execute_request", {"code": "return #Comm.list()", "silent": False}, metadata={"llmspell": {"reset": True}}
    )
    client.shell_channel.send(message)
    closed = set()
    while len(closed) < 2:
        received = client.get_iopub_msg(timeout=DEADLINE_S)
        if received["msg_type"] == "comm_close":
            closed.add(received["content"]["comm_id"])
    assert "c8" in closed
    assert reply_to(client, message["header"]["msg_id"])["status"] == "ok"
    assert open_comms(client) == {}
    (refused,) = said(client, "comm_open", "c9", target_name="echo")
    assert refused["msg_type"] == "comm_close"


def test_a_comm_of_the_main_context_is_found_through_a_subshell(one: Client) -> None:
    run_cell(one, ECHO)
    subshell = str(ask(one, "control", "create_subshell_request")["subshell_id"])

    def through(msg_type: str, **content: Any) -> list[Json]:
        message = one.session.msg(msg_type, {"comm_id": "sub1", "data": {}, **content})
        message["header"]["subshell_id"] = subshell
        one.session.send(one.shell_channel.socket, message)
        return published(one, message["header"]["msg_id"])

    (hello,) = through("comm_open", target_name="echo", data={"name": "Lab"})
    assert hello["content"]["data"] == {"hello": "Lab"}
    _, answer = through("comm_msg", data={"text": "x"})
    assert answer["content"]["data"] == {"text": "x", "sizes": [0]}
    assert texts(through("comm_close", data={"why": "done"})) == "closed\tdone\n"
    assert "sub1" not in open_comms(one)
    ask(one, "control", "delete_subshell_request", {"subshell_id": subshell})


def test_a_cell_that_goes_on_is_said_to_be_busy_again_after_what_was_asked_beside_it(one: Client) -> None:
    msg_id = one.execute("io.write(io.read())", allow_stdin=True)
    one.get_stdin_msg(timeout=DEADLINE_S)
    ask(one, "shell", "comm_info_request")
    states: list[tuple[str, str]] = []
    while len(states) < 4:
        message = one.get_iopub_msg(timeout=DEADLINE_S)
        if message["msg_type"] == "status" and (states or message["parent_header"]["msg_id"] == msg_id):
            states.append((message["parent_header"]["msg_type"], message["content"]["execution_state"]))
    cell, beside = "execute_request", "comm_info_request"
    assert states == [(cell, "busy"), (beside, "busy"), (beside, "idle"), (cell, "busy")]
    one.input("done")
    assert reply_to(one, msg_id)["status"] == "ok"
