"""Every reply and broadcast of a real kernel against Jupyter's specification, in both encodings; odd requests too.

That a message fits is looked at when it comes (tests/support/jupyter_messages.py); here is what has to come of what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.support.jupyter import DEADLINE_S, Frontend, run_cell
from tests.support.jupyter_messages import AllChannels, Asked, Json, all_channels


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelManager]:
    frontend = Frontend(tmp_path_factory.mktemp("messages"))
    with frontend.kernel() as running:
        with frontend.client(running) as first:
            first.wait_for_ready(timeout=DEADLINE_S)
            run_cell(first, "return 1")
        yield running


@pytest.fixture(params=["json", "msgpack"])
def client(request: pytest.FixtureRequest, manager: KernelManager) -> Iterator[AllChannels]:
    with all_channels(manager.get_connection_info(), request.param) as connected:
        yield connected
        assert len(connected.kernel_sessions) == 1, "all messages of a kernel have its one session"


def checked(asked: Asked) -> Asked:
    """What has to be true of all that comes of one request, whatever it is."""
    (reply,) = asked.replies
    request = asked.request["header"]
    for message in (reply, *asked.published, *asked.questions):
        for name in ("msg_id", "msg_type", "session", "username"):
            assert message["parent_header"][name] == request[name], (name, message)
    assert reply["msg_type"] == request["msg_type"].replace("_request", "_reply")
    assert asked.kinds[0] == "busy"
    assert asked.kinds[-1] == "idle"
    assert asked.kinds.count("busy") == asked.kinds.count("idle") == 1
    return asked


def run(client: AllChannels, code: str, **content: Any) -> Asked:
    """A cell with everything that the specification names."""
    wanted = {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
        **content,
    }
    return checked(client.ask("shell", "execute_request", wanted))


# Cells


def test_a_cell_is_announced_shows_its_output_in_order_and_is_replied(client: AllChannels) -> None:
    asked = run(client, "print('a') io.stderr:write('b') print('c') return 6 * 7")
    kinds = asked.kinds
    assert kinds[:2] == ["busy", "execute_input"]
    assert kinds[-2:] == ["execute_result", "idle"]
    assert [one["name"] for one in asked.of("stream")] == ["stdout", "stderr", "stdout"]
    (number,) = {asked.reply["execution_count"], *(one["execution_count"] for one in asked.of("execute_input"))}
    assert asked.of("execute_result") == [{"execution_count": number, "data": {"text/plain": "42"}, "metadata": {}}]
    assert asked.reply["status"] == "ok"
    assert asked.reply["payload"] == []
    assert asked.reply["user_expressions"] == {}


def test_an_error_is_told_once_on_iopub_with_what_the_reply_says(client: AllChannels) -> None:
    asked = run(client, "print('before') error('broken')")
    assert asked.kinds == ["busy", "execute_input", "stream", "error", "idle"]
    (error,) = asked.of("error")
    assert asked.reply["status"] == "error"
    assert {name: asked.reply[name] for name in ("ename", "evalue", "traceback")} == error
    assert asked.reply["execution_count"] == asked.of("execute_input")[0]["execution_count"]


def test_code_that_is_no_lua_is_an_error_as_any_other(client: AllChannels) -> None:
    asked = run(client, "x = = 1")
    assert asked.kinds == ["busy", "execute_input", "error", "idle"]


def test_silent_code_is_not_announced_counted_or_shown(client: AllChannels) -> None:
    before = run(client, "return 1").reply["execution_count"]
    assert run(client, "print(1) return 2", silent=True).kinds in (["busy", "idle"], ["busy", "stream", "idle"])
    assert run(client, "return 2", silent=True, store_history=True).of("execute_result") == []
    assert run(client, "return 3").reply["execution_count"] == before + 1


def test_code_without_history_is_shown_and_not_counted(client: AllChannels) -> None:
    before = run(client, "return 1").reply["execution_count"]
    assert run(client, "return 2", store_history=False).of("execute_result")[0]["data"]["text/plain"] == "2"
    assert run(client, "return 3").reply["execution_count"] == before + 1


def test_expressions_have_a_status_each_and_are_not_evaluated_behind_an_error(client: AllChannels) -> None:
    asked = run(client, "x = 20", user_expressions={"good": "x + 1", "bad": "nothing.there", "wrong": "= ="})
    found = asked.reply["user_expressions"]
    assert {name: one["status"] for name, one in found.items()} == {"good": "ok", "bad": "error", "wrong": "error"}
    assert found["good"]["data"]["text/plain"] == "21"
    assert "error" not in asked.kinds, "an expression's error is the reply's business alone"
    failed = run(client, "error('x')", user_expressions={"good": "1"})
    assert "user_expressions" not in failed.reply or failed.reply["user_expressions"] == {}


def test_payloads_are_in_the_reply_of_the_cell_that_asked_for_them(client: AllChannels) -> None:
    asked = run(client, "Notebook.page('a long text') Notebook.set_next_input('x = 1')")
    assert [one["source"] for one in asked.reply["payload"]] == ["page", "set_next_input"]
    assert run(client, "return 1").reply["payload"] == []
    helped = run(client, "LocalLLM.chat?")
    assert helped.reply["payload"][0]["data"]["text/plain"].startswith("LocalLLM.chat(request[, on_chunk])")
    unknown = run(client, "?nosuch")
    assert "Nothing is known about 'nosuch'" in unknown.reply["payload"][0]["data"]["text/plain"]


def test_what_waits_behind_an_error_is_aborted_with_its_own_busy_and_idle(client: AllChannels) -> None:
    failing = client.send("shell", "execute_request", {"code": "io.read() error('x')", "allow_stdin": True})
    question = client.wait_for(failing, lambda one: bool(one.questions)).questions[0]
    waiting = [client.send("shell", "execute_request", {"code": "return 1"}) for _ in range(2)]
    checked(client.ask("shell", "kernel_info_request"))
    client.answer("go on", to=question)
    assert checked(client.finish(failing)).reply["status"] == "error"
    for one in waiting:
        asked = checked(client.finish(one))
        assert (asked.reply["status"], asked.kinds) == ("aborted", ["busy", "idle"])
    assert run(client, "return 1").reply["status"] == "ok"


def test_an_error_aborts_nothing_of_another_client(client: AllChannels, manager: KernelManager) -> None:
    with all_channels(manager.get_connection_info(), "json") as other:
        failing = client.send("shell", "execute_request", {"code": "io.read() error('x')", "allow_stdin": True})
        question = client.wait_for(failing, lambda one: bool(one.questions)).questions[0]
        waiting = other.send("shell", "execute_request", {"code": "return 'other'"})
        checked(other.ask("shell", "kernel_info_request"))
        client.answer("go on", to=question)
        client.finish(failing)
        assert checked(other.finish(waiting)).reply["status"] == "ok"
        assert [kind for channel, kind in other.received if channel == "stdin"] == []


# Input


def test_a_question_goes_to_the_one_who_asked_and_its_answer_back(client: AllChannels) -> None:
    asked = client.ask(
        "shell",
        "execute_request",
        {"code": "return input('name? ') .. getpass('key? ')", "allow_stdin": True},
        lambda question: client.answer("Ada " if not question["content"]["password"] else "lock", to=question),
    )
    assert [one["content"] for one in asked.questions] == [
        {"prompt": "name? ", "password": False},
        {"prompt": "key? ", "password": True},
    ]
    assert checked(asked).of("execute_result")[0]["data"]["text/plain"] == '"Ada lock"'


@pytest.mark.parametrize("code", ["io.read()", "io.read('n')", "input('x')", "getpass('x')", "io.lines()()"])
def test_input_that_is_not_allowed_fails_at_once_and_asks_nothing(client: AllChannels, code: str) -> None:
    asked = run(client, f"return {code}")
    assert (asked.reply["status"], asked.questions) == ("error", [])
    assert "allow_stdin" in asked.reply["evalue"]


def test_an_answer_to_a_question_of_before_is_no_answer_to_the_next(client: AllChannels) -> None:
    first = client.send("shell", "execute_request", {"code": "input('first')", "allow_stdin": True})
    old = client.wait_for(first, lambda one: bool(one.questions)).questions[0]
    client.ask("control", "interrupt_request")
    assert checked(client.finish(first)).reply["status"] == "error"
    second = client.send("shell", "execute_request", {"code": "return input('second')", "allow_stdin": True})
    new = client.wait_for(second, lambda one: bool(one.questions)).questions[0]
    client.answer("late", to=old)
    client.answer("right", to=new)
    assert checked(client.finish(second)).of("execute_result")[0]["data"]["text/plain"] == '"right"'


@pytest.mark.parametrize("answer", [{"value": "\x04"}, {"value": "", "eof": True}])
def test_the_end_of_input_is_nil(client: AllChannels, answer: Json) -> None:
    asked = client.ask(
        "shell",
        "execute_request",
        {"code": "return tostring(io.read()) .. tostring(input())", "allow_stdin": True},
        lambda question: client.answer(**answer, to=question),
    )
    assert checked(asked).of("execute_result")[0]["data"]["text/plain"] == '"nilnil"'


def test_an_answer_that_nothing_has_asked_for_is_passed_over(client: AllChannels) -> None:
    client.answer("unasked")
    assert run(client, "return 1").reply["status"] == "ok"


# The other requests


@pytest.mark.parametrize(
    ("code", "status"),
    [("return 1", "complete"), ("for", "incomplete"), ("x = = 1", "invalid"), ("print?", "complete")],
)
def test_is_complete(client: AllChannels, code: str, status: str) -> None:
    reply = checked(client.ask("shell", "is_complete_request", {"code": code})).reply
    assert reply["status"] == status
    assert ("indent" in reply) == (status == "incomplete")


@pytest.mark.parametrize("position", [None, 0, 3, 6, 99, -1])
def test_complete_replaces_what_stands_around_the_cursor(client: AllChannels, position: int | None) -> None:
    code = "string" if position != 3 else "striNG"
    content = {"code": code} if position is None else {"code": code, "cursor_pos": position}
    reply = checked(client.ask("shell", "complete_request", content)).reply
    assert 0 <= reply["cursor_start"] <= reply["cursor_end"] <= len(code)
    assert "string" in reply["matches"]
    for one in reply["metadata"]["_jupyter_types_experimental"]:
        assert {"text", "type", "start", "end"} <= one.keys()


def test_complete_counts_code_points(client: AllChannels) -> None:
    code = "x = '🎉é' .. strin"
    reply = checked(client.ask("shell", "complete_request", {"code": code, "cursor_pos": len(code)})).reply
    assert code[reply["cursor_start"] : reply["cursor_end"]] == "strin"


@pytest.mark.parametrize("level", [0, 1])
def test_inspect(client: AllChannels, level: int) -> None:
    run(client, "function mine(a)\n  return a\nend")
    content = {"code": "mine(1)", "cursor_pos": 2, "detail_level": level}
    reply = checked(client.ask("shell", "inspect_request", content)).reply
    assert reply["found"] is True
    assert set(reply["data"]) == {"text/plain", "text/markdown"}
    assert ("return a" in reply["data"]["text/plain"]) == (level == 1)
    nothing = checked(client.ask("shell", "inspect_request", {"code": "nosuch", "cursor_pos": 1})).reply
    assert (nothing["found"], nothing["data"]) == (False, {})


@pytest.mark.parametrize("output", [False, True])
def test_history_has_what_was_run_with_it_and_no_other(client: AllChannels, output: bool) -> None:
    run(client, "'kept'")
    run(client, "'not kept'", store_history=False)
    run(client, "'silent'", silent=True)
    content = {"hist_access_type": "tail", "n": 1, "output": output, "raw": True}
    ((session, line, given),) = checked(client.ask("shell", "history_request", content)).reply["history"]
    assert given == (["'kept'", '"kept"'] if output else "'kept'")
    assert line > 0
    wanted = {"hist_access_type": "range", "session": 0, "start": line, "stop": line + 1, "output": output, "raw": True}
    assert checked(client.ask("shell", "history_request", wanted)).reply["history"] == [[session, line, given]]
    search = {"hist_access_type": "search", "pattern": "'ke?t*", "n": 1, "output": output, "raw": True}
    assert checked(client.ask("shell", "history_request", search)).reply["history"] == [[session, line, given]]


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info(client: AllChannels, channel: str) -> None:
    assert checked(client.ask(channel, "kernel_info_request")).reply["status"] == "ok"


def test_comm_info_and_a_comm_of_an_unknown_target(client: AllChannels) -> None:
    assert isinstance(checked(client.ask("shell", "comm_info_request", {})).reply["comms"], dict)
    opened = client.send("shell", "comm_open", {"comm_id": "1", "target_name": "nosuch", "data": {}})
    asked = client.wait_for(opened, lambda one: "idle" in one.kinds)
    assert (asked.kinds, asked.replies) == (["busy", "comm_close", "idle"], [])


def test_an_interrupt_is_answered_on_control_while_a_cell_runs(client: AllChannels) -> None:
    running = client.send("shell", "execute_request", {"code": "print('on') while true do end"})
    client.wait_for(running, lambda one: "stream" in one.kinds)
    assert checked(client.ask("control", "interrupt_request")).reply["status"] == "ok"
    asked = checked(client.finish(running))
    assert asked.kinds == ["busy", "execute_input", "stream", "error", "idle"]
    assert asked.reply["status"] == "error"


# Odd requests: each is answered once, between busy and idle, and the kernel answers the next one

ODD: dict[str, tuple[str, Any]] = {
    "execute without code": ("execute_request", {}),
    "execute with a number": ("execute_request", {"code": 1}),
    "execute with a word for a flag": ("execute_request", {"code": "x = 1", "silent": "yes"}),
    "execute with a list of expressions": ("execute_request", {"code": "x = 1", "user_expressions": ["a"]}),
    "execute with numbers as expressions": ("execute_request", {"code": "x = 1", "user_expressions": {"a": 1}}),
    "complete without code": ("complete_request", {"cursor_pos": 1}),
    "complete at a word": ("complete_request", {"code": "x", "cursor_pos": "1"}),
    "complete at a fraction": ("complete_request", {"code": "x", "cursor_pos": 0.5}),
    "inspect without code": ("inspect_request", {}),
    "inspect of another level": ("inspect_request", {"code": "x", "cursor_pos": 1, "detail_level": 2}),
    "is_complete without code": ("is_complete_request", {}),
    "is_complete of a list": ("is_complete_request", {"code": ["x"]}),
    "history of another kind": ("history_request", {"hist_access_type": "all"}),
    "history of so many words": ("history_request", {"hist_access_type": "tail", "n": "3"}),
    "comm_info of a number": ("comm_info_request", {"target_name": 1}),
}

GOOD: dict[str, tuple[str, Any]] = {
    "execute with code alone": ("execute_request", {"code": "x = 1"}),
    "execute with nulls": ("execute_request", {"code": "x = 1", "silent": None, "user_expressions": None}),
    "execute with more keys": ("execute_request", {"code": "x = 1", "of_tomorrow": {"a": [1]}}),
    "execute nothing": ("execute_request", {"code": ""}),
    "execute a zero byte": ("execute_request", {"code": "return '\0'"}),
    "complete nothing": ("complete_request", {"code": "", "cursor_pos": 0}),
    "inspect nothing": ("inspect_request", {"code": "", "cursor_pos": 0}),
    "history without anything": ("history_request", {}),
    "history before all": ("history_request", {"hist_access_type": "range", "session": -99}),
    "history of no cells": ("history_request", {"hist_access_type": "tail", "n": 0}),
    "history of fewer than none": ("history_request", {"hist_access_type": "tail", "n": -1}),
    "history with a long pattern": ("history_request", {"hist_access_type": "search", "pattern": "[*?" * 50}),
}


@pytest.mark.parametrize("name", ODD)
def test_a_wrong_request_is_answered_with_an_error_and_changes_nothing(client: AllChannels, name: str) -> None:
    msg_type, content = ODD[name]
    before = run(client, "return 1").reply["execution_count"]
    asked = checked(client.ask("shell", msg_type, content))
    assert (asked.reply["status"], asked.kinds) == ("error", ["busy", "idle"])
    assert asked.reply["code"] == "invalid_request"
    assert run(client, "return 1").reply["execution_count"] == before + 1


@pytest.mark.parametrize("name", GOOD)
def test_a_short_or_strange_request_is_answered(client: AllChannels, name: str) -> None:
    msg_type, content = GOOD[name]
    assert checked(client.ask("shell", msg_type, content)).reply["status"] == "ok"


def test_a_request_of_an_unknown_type_is_answered_with_an_error(client: AllChannels) -> None:
    asked = client.ask("shell", "of_tomorrow_request", {"a": 1})
    assert (asked.reply["status"], asked.reply["code"]) == ("error", "unsupported")


def test_a_request_with_a_parent_of_before_is_its_own(client: AllChannels) -> None:
    stale = client.send("shell", "kernel_info_request")
    client.finish(stale)
    asked = checked(client.ask("shell", "execute_request", {"code": "return 1"}, parent=stale["header"]))
    assert asked.kinds == ["busy", "execute_input", "execute_result", "idle"]
    assert client.of(stale).kinds == ["busy", "idle"], "nothing more came of the other"


def test_the_identities_of_a_relay_come_back_in_front_of_the_reply(client: AllChannels) -> None:
    asked = checked(client.ask("shell", "kernel_info_request", identities=[b"relay", b"and another"]))
    (reply,) = asked.replies
    assert reply["identities"] == [b"relay", b"and another"]


def test_the_header_comes_back_as_it_was_sent_whatever_it_holds(client: AllChannels) -> None:
    header = {"username": "Ada Ü", "session": client.session.session, "of_tomorrow": {"deep": [1, None]}}
    asked = checked(client.ask("shell", "kernel_info_request", header=header))
    assert asked.replies[0]["parent_header"]["of_tomorrow"] == {"deep": [1, None]}


@pytest.mark.parametrize("field", ["date", "username", "version"])
def test_what_a_header_may_lack_it_may_lack(client: AllChannels, field: str) -> None:
    asked = client.ask("shell", "kernel_info_request", without=[field])
    assert (asked.reply["status"], asked.kinds) == ("ok", ["busy", "idle"])
    assert field not in asked.replies[0]["parent_header"]


@pytest.mark.parametrize("field", ["msg_id", "msg_type", "session"])
def test_a_message_that_says_not_what_or_whose_it_is_is_dropped(client: AllChannels, field: str) -> None:
    client.received.clear()
    client.send("shell", "kernel_info_request", without=[field])
    answered = checked(client.ask("shell", "kernel_info_request"))
    # Answers keep the order of their requests: were there one to the first, it would have come.
    assert [message for channel, message in client.received if channel == "shell"] == answered.replies


def test_metadata_of_others_is_passed_over(client: AllChannels) -> None:
    metadata = {"cellId": "abc", "deletedCells": [], "recordTiming": True}
    asked = checked(client.ask("shell", "execute_request", {"code": "return 1"}, metadata=metadata))
    assert asked.reply["status"] == "ok"


def test_two_requests_with_one_id_are_answered_each(client: AllChannels) -> None:
    running = client.send("shell", "execute_request", {"code": "print('on') while true do end"})
    client.wait_for(running, lambda one: "stream" in one.kinds)
    client.send("shell", "kernel_info_request", header={"msg_id": running["header"]["msg_id"]})
    both = client.wait_for(running, lambda one: bool(one.replies))
    assert [one["msg_type"] for one in both.replies] == ["kernel_info_reply"]
    client.ask("control", "interrupt_request")
    asked = client.wait_for(running, lambda one: len(one.replies) == 2 and "idle" in one.kinds)
    assert asked.kinds.count("idle") == 1


def test_shutdown_is_answered_on_control_with_what_was_asked(tmp_path_factory: pytest.TempPathFactory) -> None:
    with Frontend(tmp_path_factory.mktemp("shutdown")).kernel() as running:
        with all_channels(running.get_connection_info(), "json") as client:
            request = client.send("control", "shutdown_request", {"restart": True})
            asked = client.wait_for(request, lambda one: bool(one.replies))
            assert asked.reply == {"status": "ok", "restart": True}
        running.finish_shutdown(waittime=60)
