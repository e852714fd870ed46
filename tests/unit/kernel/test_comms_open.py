"""The comms of one worker: what is open, how many may be, and what widgets have told of their states."""

from __future__ import annotations

import pytest

from llmspell_kernel.identity import Caller
from llmspell_kernel.request import Request
from llmspell_kernel.scripting.comms import MOST_OPEN, WIDGETS, Comms
from llmspell_protocol.errors import InvalidRequest
from tests.support.recording_sink import RecordingSink


def test_so_many_may_be_open_and_all_end_with_the_worker() -> None:
    comms, sink = Comms(), RecordingSink()
    for number in range(MOST_OPEN):
        comms.opened(sink, str(number), "t", of_script=True)
    with pytest.raises(InvalidRequest, match="10000 comms are open already"):
        comms.open(sink, "more", "t", {}, of_script=True)
    comms.end()
    assert comms.info(None) == {}
    assert len([kind for kind, _ in sink.sent if kind == "comm_close"]) == MOST_OPEN


def test_what_the_kernel_opens_by_itself_takes_no_room_from_scripts_and_has_a_bound_too() -> None:
    comms, sink = Comms(), RecordingSink()
    assert comms.has_room(MOST_OPEN)
    first = comms.open(sink, "first", WIDGETS, {})
    for number in range(MOST_OPEN):
        comms.opened(sink, str(number), "t", of_script=True)
    assert (comms.has_room(MOST_OPEN - 1), comms.has_room(MOST_OPEN)) == (True, False)
    comms.close(first)
    comms.closed(first)
    assert comms.has_room(MOST_OPEN)


def test_an_id_is_given_once() -> None:
    comms, sink = Comms(), RecordingSink()
    first = comms.open(sink, "c", "t", {}, of_script=True)
    with pytest.raises(InvalidRequest, match="a comm with the id 'c' is open already"):
        comms.opened(sink, "c", "other", of_script=False)
    assert comms.get("c") is first
    comms.close(first)
    comms.opened(sink, "c", "other", of_script=False)


def test_the_oldest_of_those_that_frontends_left_are_forgotten() -> None:
    comms, sink = Comms(), RecordingSink()
    for number in range(5):
        comms.opened(sink, str(number), "t", of_script=False)
    comms.keep_newest(2)
    assert [*comms.info(None)] == ["3", "4"]
    assert sink.sent == []


def test_states_of_widgets_are_kept_as_they_were_told_last() -> None:
    comms, sink = Comms(), RecordingSink()
    state = {"_model_name": "M", "_model_module": "m", "_model_module_version": "1", "value": 1}
    comm = comms.open(sink, "w", WIDGETS, {"state": state})
    comms.open(sink, "other", "t", {"state": {"value": 2}})
    comms.say(comm, {"method": "update", "state": {"value": 3}})
    comms.say(comm, {"method": "custom"})
    assert comms.widget_states() == {
        "w": {"model_name": "M", "model_module": "m", "model_module_version": "1", "state": {**state, "value": 3}}
    }


def test_what_a_script_says_on_a_comm_that_has_ended_is_dropped() -> None:
    comms, sink = Comms(), RecordingSink()
    request = Request("r", "execute_request", {}, Caller(client="c", session="s"), sink)
    comms.take(request, "comm_open", {"comm_id": "c", "target_name": "t"}, [])
    comms.take(request, "comm_close", {"comm_id": "c"}, [])
    comms.take(request, "comm_msg", {"comm_id": "c", "data": 1}, [])
    assert [kind for kind, _ in sink.sent] == ["comm_open", "comm_close"]
