"""What doors keep for frontends that are gone: bounded, in order, and for the right one."""

from __future__ import annotations

from typing import Any

from llmspell_kernel.doors import missed as missed_bounds
from llmspell_kernel.doors.missed import MAX_BYTES, MAX_MESSAGES, Missed
from llmspell_kernel.doors.owed import MAX_AGE_S, MAX_FRONTENDS, MAX_REPLIES, MAX_TOTAL_BYTES, Owed
from llmspell_kernel.doors.owed import MAX_BYTES as LARGEST_REPLY
from llmspell_protocol.messages import Message


def reply(parent: str, **content: Any) -> Message:
    """A reply to a request."""
    return Message({"msg_id": f"reply to {parent}"}, content, parent_header={"msg_id": parent})


class Clock:
    """A time that a test sets."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_what_was_missed_is_taken_once_and_in_order() -> None:
    missed = Missed()
    for number in range(3):
        missed.keep([b"topic", str(number).encode()], number)
    assert [frames[1] for frames in missed.take()] == [b"0", b"1", b"2"]
    assert (list(missed.take()), missed.left_out) == ([], 0)


def test_what_is_too_old_is_not_taken() -> None:
    missed = Missed()
    for number in range(3):
        missed.keep([str(number).encode()], number)
    assert missed.take(since=2) == [[b"2"]]
    assert (len(missed), missed.take()) == (0, [])


def test_of_too_many_messages_the_newest_stay_and_the_others_are_counted() -> None:
    missed = Missed()
    for number in range(MAX_MESSAGES + 5):
        missed.keep([str(number).encode()], 0)
    assert missed.left_out == 5
    taken = missed.take()
    assert (len(taken), taken[0]) == (MAX_MESSAGES, [b"5"])


def test_too_many_bytes_are_too_many() -> None:
    missed = Missed()
    for _ in range(9):
        missed.keep([bytes(MAX_BYTES // 4)], 0)
    assert (missed.left_out, len(missed)) == (5, 4)


def test_a_frontend_gets_its_own_replies_and_only_once() -> None:
    owed = Owed()
    owed.keep(b"one", reply("a"))
    owed.keep(b"one", reply("b"))
    owed.keep(b"other", reply("c"))
    assert [one.parent_id for one in owed.take(b"one", "new")] == ["a", "b"]
    assert list(owed.take(b"one", "new")) == []
    assert [one.parent_id for one in owed.take(b"other", "new")] == ["c"]
    assert (len(owed), owed.size_bytes) == (0, 0)


def test_a_reply_to_the_id_that_is_asked_anew_is_not_given() -> None:
    owed = Owed()
    owed.keep(b"one", reply("a"))
    assert list(owed.take(b"one", "a")) == []


def test_few_frontends_few_replies_and_small_ones_are_kept() -> None:
    owed = Owed()
    for number in range(MAX_FRONTENDS + 1):
        owed.keep(str(number).encode(), reply("a"))
    assert len(owed) == MAX_FRONTENDS
    assert list(owed.take(b"0", "new")) == []
    for number in range(MAX_REPLIES + 1):
        owed.keep(b"7", reply(str(number)))
    owed.keep(b"7", reply("large", payload=[{"data": "x" * LARGEST_REPLY}]))
    taken = owed.take(b"7", "new")
    assert (len(taken), taken[-1].parent_id) == (MAX_REPLIES, str(MAX_REPLIES))


def test_all_replies_together_are_bounded_and_the_oldest_go_whosever_they_are() -> None:
    owed = Owed()
    size = LARGEST_REPLY * 3 // 4
    for number in range(MAX_FRONTENDS):
        for part in "ab":
            owed.keep(str(number).encode(), reply(f"{number}{part}", user_expressions={"x": ["y" * size]}))
        assert owed.size_bytes <= MAX_TOTAL_BYTES
    held = len(owed)
    assert held == MAX_TOTAL_BYTES // (owed.size_bytes // held)
    assert list(owed.take(b"0", "new")) == []
    last = str(MAX_FRONTENDS - 1).encode()
    assert [one.parent_id for one in owed.take(last, "new")] == ["63a", "63b"]


def test_a_reply_is_kept_for_a_day() -> None:
    clock = Clock()
    owed = Owed(clock)
    owed.keep(b"one", reply("a"))
    clock.s = MAX_AGE_S / 2
    owed.keep(b"other", reply("b"))
    clock.s = MAX_AGE_S + 1
    assert list(owed.take(b"one", "new")) == []
    assert [one.parent_id for one in owed.take(b"other", "new")] == ["b"]
    assert owed.size_bytes == 0


def test_what_was_missed_is_kept_for_a_day_and_counted_behind_it() -> None:
    missed = Missed()
    missed.keep([b"old"], 0)
    missed.keep([b"new"], missed_bounds.MAX_AGE_S / 2)
    missed.leave_out_old(missed_bounds.MAX_AGE_S + 1)
    assert (missed.left_out, list(missed.take())) == (1, [[b"new"]])
