"""What waits for a slow reader: merged without loss, numbered without gaps, given up in the end."""

from __future__ import annotations

from itertools import count

from llmspell_kernel.doors import outbox
from llmspell_kernel.doors.outbox import Outbox, Outgoing
from llmspell_protocol.messages import Content, HeaderFactory, Message

headers = HeaderFactory()


def outgoing(kind: str, content: Content, counter: count[int]) -> Outgoing:
    return Outgoing(Message(headers(f"model_{kind}"), content, identities=[b"client"]), counter)


def drain(box: Outbox) -> list[Content]:
    contents = []
    for item in box:
        contents.append(item.numbered().content)
        box.taken()
    return contents


def test_deltas_of_one_request_become_one_text_and_leave_no_gap_in_the_numbers() -> None:
    counter = count()
    first = outgoing("delta", {"text": "sent at once"}, counter).numbered()
    box = Outbox()
    for text in ("a", "b", "c"):
        box.add(outgoing("delta", {"text": text}, counter))
    box.add(outgoing("reply", {"status": "ok"}, counter))

    assert first.content["seq"] == 0
    assert drain(box) == [{"text": "abc", "seq": 1}, {"status": "ok", "seq": 2}]
    assert not box


def test_of_progress_only_the_newest_is_kept() -> None:
    counter = count()
    box = Outbox()
    for done in (1, 2, 3):
        box.add(outgoing("progress", {"processed": done}, counter))

    assert drain(box) == [{"processed": 3, "seq": 0}]


def test_deltas_of_two_requests_stay_apart() -> None:
    one, other = count(), count()
    box = Outbox()
    box.add(outgoing("delta", {"text": "a"}, one))
    box.add(outgoing("delta", {"text": "x"}, other))
    box.add(outgoing("delta", {"text": "b"}, one))

    assert [content["text"] for content in drain(box)] == ["a", "x", "b"]


def test_standard_output_and_standard_error_are_not_mixed() -> None:
    counter = count()
    box = Outbox()
    box.add(outgoing("delta", {"stream": "stdout", "text": "a"}, counter))
    box.add(outgoing("delta", {"stream": "stderr", "text": "b"}, counter))
    box.add(outgoing("delta", {"stream": "stderr", "text": "c"}, counter))

    assert [content["text"] for content in drain(box)] == ["a", "bc"]


def test_tool_calls_are_never_merged_away() -> None:
    counter = count()
    box = Outbox()
    box.add(outgoing("delta", {"tool_calls": [{"name": "a"}]}, counter))
    box.add(outgoing("delta", {"tool_calls": [{"name": "b"}]}, counter))

    assert [content["tool_calls"][0]["name"] for content in drain(box)] == ["a", "b"]


def test_a_client_with_too_much_unread_is_hopeless() -> None:
    box = Outbox()
    counter = count()
    box.add(outgoing("delta", {"text": "x" * 1000}, counter))
    assert not box.hopeless

    box.add(outgoing("delta", {"text": "x" * outbox.GIVE_UP_BYTES}, counter))
    assert box.hopeless
