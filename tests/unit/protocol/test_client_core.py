"""The client's core: bytes in, events out, with no socket and no clock of its own."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.client.core import ClientCore, Exchange
from llmspell_protocol.client.events import Delta, InputRequest, Output, Progress
from llmspell_protocol.connection import Channel
from llmspell_protocol.errors import (
    Cancelled,
    Internal,
    InvalidRequest,
    KernelUnreachable,
    ModelNotFound,
    ScriptError,
    Timeout,
)
from llmspell_protocol.messages import HeaderFactory, Message
from llmspell_protocol.wire import Wire

KEY = b"key"


class Peer:
    """The kernel's side of a core: reads what it sends and answers it."""

    def __init__(self, core: ClientCore) -> None:
        self.core = core
        self.wire = Wire(KEY)
        self.header = HeaderFactory()

    def ask(self, msg_type: str = "model_request", **options: Any) -> tuple[Exchange, Message]:
        exchange, frames = self.core.request(msg_type, {"action": "chat"}, **options)
        return exchange, self.wire.unpack(frames)

    def say(
        self,
        request: Message,
        msg_type: str,
        content: dict[str, Any],
        *,
        channel: Channel = "shell",
        buffers: list[bytes] | None = None,
    ) -> None:
        answer = Message(self.header(msg_type), content, parent_header=request.header, buffers=buffers)
        self.core.receive(channel, self.wire.pack(answer))


@pytest.fixture
def core() -> ClientCore:
    return ClientCore(KEY)


@pytest.fixture
def peer(core: ClientCore) -> Peer:
    return Peer(core)


def test_a_request_is_packed_with_everything_that_was_asked_for(peer: Peer) -> None:
    _, request = peer.ask(metadata={"llmspell": {"timeout_s": 1}}, buffers=(b"\x01",))
    assert (request.msg_type, request.content, request.options) == (
        "model_request",
        {"action": "chat"},
        {"timeout_s": 1},
    )
    assert request.buffers == [b"\x01"]
    assert request.header["session"] == peer.core.session
    assert request.encoding == "msgpack"


def test_progress_deltas_and_reply_come_in_their_order(peer: Peer) -> None:
    exchange, request = peer.ask()
    peer.say(request, "model_progress", {"phase": "prefill", "seq": 0})
    peer.say(request, "model_delta", {"text": "Hel", "seq": 1})
    peer.say(request, "model_delta", {"text": "lo", "seq": 2}, buffers=[b"x"])
    assert not exchange.done
    peer.say(request, "model_reply", {"status": "ok", "finish_reason": "stop", "seq": 3}, buffers=[b"end"])
    assert list(exchange.events) == [
        Progress({"phase": "prefill", "seq": 0}),
        Delta({"text": "Hel", "seq": 1}, []),
        Delta({"text": "lo", "seq": 2}, [b"x"]),
    ]
    assert exchange.done
    reply = exchange.outcome()
    assert (reply.content["finish_reason"], list(reply.buffers)) == ("stop", [b"end"])
    assert peer.core.open == ()


def test_answers_find_their_request_however_they_are_mixed(peer: Peer) -> None:
    first, first_request = peer.ask()
    second, second_request = peer.ask()
    peer.say(second_request, "model_delta", {"text": "b", "seq": 0})
    peer.say(first_request, "model_delta", {"text": "a", "seq": 0})
    peer.say(second_request, "model_reply", {"status": "ok", "seq": 1})
    assert [event.content["text"] for event in first.events if isinstance(event, Delta)] == ["a"]
    assert second.done
    assert not first.done


def test_a_missing_number_is_a_defect_and_ends_the_request(peer: Peer) -> None:
    exchange, request = peer.ask()
    peer.say(request, "model_delta", {"text": "a", "seq": 0})
    peer.say(request, "model_delta", {"text": "c", "seq": 2})
    with pytest.raises(Internal, match="number 1 is missing") as caught:
        exchange.outcome()
    assert caught.value.details == {"expected_seq": 1, "seq": 2}


def test_kernels_of_another_make_number_nothing(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request")
    peer.say(request, "execute_reply", {"status": "ok", "execution_count": 1})
    assert exchange.outcome().content["execution_count"] == 1


def test_an_error_reply_is_the_error_itself(peer: Peer) -> None:
    exchange, request = peer.ask()
    peer.say(request, "model_reply", {**ModelNotFound("no model 'x'", hint="pull it").to_content(), "seq": 0})
    with pytest.raises(ModelNotFound, match="no model 'x'") as caught:
        exchange.outcome()
    assert caught.value.hint == "pull it"


def test_an_aborted_request_counts_as_cancelled(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request")
    peer.say(request, "execute_reply", {"status": "aborted"})
    with pytest.raises(Cancelled):
        exchange.outcome()


def test_a_status_that_is_an_answer_is_no_error(peer: Peer) -> None:
    exchange, request = peer.ask("is_complete_request")
    peer.say(request, "is_complete_reply", {"status": "incomplete", "indent": "  "})
    assert exchange.outcome().content["status"] == "incomplete"


def test_what_comes_after_the_end_is_ignored(peer: Peer) -> None:
    exchange, request = peer.ask()
    peer.say(request, "model_reply", {"status": "ok", "seq": 0})
    peer.say(request, "model_delta", {"text": "late", "seq": 1})
    assert not exchange.events


def test_messages_that_were_not_asked_for_are_ignored(peer: Peer) -> None:
    stranger = Message(HeaderFactory()("model_request"), {})
    peer.say(stranger, "model_reply", {"status": "ok"})
    assert peer.core.open == ()


def test_untrusted_and_damaged_messages_are_counted_and_change_nothing(peer: Peer) -> None:
    exchange, request = peer.ask()
    answer = Message(peer.header("model_reply"), {"status": "ok", "seq": 0}, parent_header=request.header)
    peer.core.receive("shell", Wire(b"another key").pack(answer))
    peer.core.receive("shell", [b"nonsense"])
    assert peer.core.dropped == {"signature": 1, "frames": 1}
    assert not exchange.done


def test_time_is_over_for_those_whose_deadline_has_passed(peer: Peer) -> None:
    soon, _ = peer.ask(deadline=10.0)
    later, _ = peer.ask(deadline=20.0)
    never, _ = peer.ask()
    assert peer.core.next_deadline() == 10.0
    assert peer.core.expire(9.9) == []
    assert peer.core.expire(10.0) == [soon]
    with pytest.raises(Timeout):
        soon.outcome()
    assert peer.core.open == (later, never)
    assert peer.core.next_deadline() == 20.0


def test_a_lost_connection_ends_every_open_request(peer: Peer) -> None:
    first, _ = peer.ask()
    second, _ = peer.ask(channel="control")
    peer.core.fail(KernelUnreachable("gone"))
    for exchange in (first, second):
        with pytest.raises(KernelUnreachable):
            exchange.outcome()


def test_one_lost_channel_ends_only_the_requests_on_it(peer: Peer) -> None:
    shell, _ = peer.ask()
    control, _ = peer.ask(channel="control")
    peer.core.fail(KernelUnreachable("gone"), "control")
    assert control.done
    assert not shell.done


def test_a_waiting_caller_hears_of_each_change(peer: Peer) -> None:
    heard: list[str] = []
    exchange, request = peer.ask(deadline=1.0)
    exchange.on_change = lambda: heard.append("delta" if exchange.events else "end")
    peer.say(request, "model_delta", {"text": "a", "seq": 0})
    exchange.events.clear()
    peer.core.expire(2.0)
    assert heard == ["delta", "end"]


def test_output_ends_with_idle_because_the_reply_may_overtake_it(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request", output=True)
    peer.say(request, "status", {"execution_state": "busy"}, channel="iopub")
    peer.say(request, "execute_reply", {"status": "ok"})
    assert not exchange.done
    peer.say(request, "stream", {"name": "stdout", "text": "hi"}, channel="iopub")
    peer.say(request, "status", {"execution_state": "idle"}, channel="iopub")
    assert exchange.done
    assert list(exchange.events) == [Output("stream", {"name": "stdout", "text": "hi"}, {}, [])]


def test_an_error_waits_for_the_output_before_it_too(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request", output=True)
    peer.say(request, "execute_reply", {"status": "error", "ename": "E", "evalue": "boom"})
    assert not exchange.done
    peer.say(request, "error", {"ename": "E"}, channel="iopub")
    peer.say(request, "status", {"execution_state": "idle"}, channel="iopub")
    assert exchange.done
    assert [event.msg_type for event in exchange.events if isinstance(event, Output)] == ["error"]
    with pytest.raises(ScriptError):
        exchange.outcome()


def test_what_ends_a_request_from_here_waits_for_no_output(peer: Peer) -> None:
    late, _ = peer.ask("execute_request", output=True, deadline=1.0)
    lost, _ = peer.ask("execute_request", output=True)
    peer.core.expire(1.0)
    peer.core.fail(KernelUnreachable("gone"))
    assert late.done
    assert lost.done


def test_output_that_was_not_asked_for_is_left_out(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request")
    peer.say(request, "stream", {"name": "stdout", "text": "hi"}, channel="iopub")
    assert not exchange.events


def test_the_welcome_of_iopub_is_remembered(core: ClientCore) -> None:
    assert not core.welcomed
    welcome = Message(HeaderFactory()("iopub_welcome"), {"subscription": ""})
    core.receive("iopub", [b"topic", *Wire(KEY).pack(welcome)])
    assert core.welcomed


def test_a_question_is_answered_with_its_own_header_as_parent(peer: Peer) -> None:
    exchange, request = peer.ask("execute_request")
    peer.say(request, "input_request", {"prompt": "name? ", "password": True}, channel="stdin")
    question = exchange.events.popleft()
    assert isinstance(question, InputRequest)
    assert (question.prompt, question.password) == ("name? ", True)
    answer = peer.wire.unpack(peer.core.answer(question, "Ada"))
    assert (answer.msg_type, answer.content, answer.parent_id) == (
        "input_reply",
        {"value": "Ada"},
        question.header["msg_id"],
    )
    assert peer.wire.unpack(peer.core.answer(question, None)).content == {"value": "", "eof": True}


def test_cancel_names_the_request_and_interrupts_kernels_of_another_make(peer: Peer) -> None:
    exchange, _ = peer.ask()
    ours = peer.wire.unpack(peer.core.cancel(exchange, {"llmspell": {"protocol": "1.0"}}))
    assert (ours.msg_type, ours.content) == ("kernel_request", {"action": "cancel", "msg_id": exchange.msg_id})
    assert peer.wire.unpack(peer.core.cancel(exchange, {})).msg_type == "interrupt_request"


def test_a_request_too_large_for_a_kernel_is_refused_here(core: ClientCore) -> None:
    with pytest.raises(InvalidRequest, match="64"):
        core.request("model_request", {"action": "embed"}, buffers=(bytes(64 * 1024 * 1024),))
    assert core.open == ()


def test_a_request_that_can_not_be_sent_is_refused_here(core: ClientCore) -> None:
    with pytest.raises(InvalidRequest, match="object can't be sent"):
        core.request("model_request", {"action": object()})


def test_a_reply_is_not_there_before_its_time(peer: Peer) -> None:
    exchange, _ = peer.ask()
    with pytest.raises(Internal, match="no reply yet"):
        exchange.outcome()
