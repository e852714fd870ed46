"""What a worker sends of what its script writes: the first piece at once, the rest together, nothing left behind."""

from __future__ import annotations

import threading

from llmspell_kernel.scripting.lua.written import PIECE_BYTES, Pace, Written
from llmspell_protocol.frames import Frame

DEADLINE_S = 60


class Pipe:
    """Keeps what is sent, and tells when so many texts have been."""

    def __init__(self, wanted: str = "") -> None:
        self.texts: list[tuple[int, str, str]] = []
        self.frames: list[Frame] = []
        self.arrived = threading.Event()
        self._wanted = wanted

    def text(self, scope: int, stream: str, text: str) -> None:
        self.texts.append((scope, stream, text))
        if "".join(one for _, _, one in self.texts) == self._wanted:
            self.arrived.set()

    def frame(self, frame: Frame) -> None:
        self.frames.append(frame)

    def written(self) -> Written:
        return Written(self.text, self.frame)


def test_the_first_piece_is_sent_at_once_and_what_follows_together() -> None:
    pipe = Pipe()
    written = pipe.written()
    written.write(1, "stdout", b"first ")
    assert pipe.texts == [(1, "stdout", "first ")]
    line = b"x" * 100
    for _ in range(PIECE_BYTES // 100 + 1):
        written.write(1, "stdout", line)
    written.ended(1)
    assert "".join(text for _, _, text in pipe.texts) == "first " + "x" * 100 * (PIECE_BYTES // 100 + 1)
    assert len(pipe.texts) < 20


def test_what_is_left_behind_is_sent_by_itself() -> None:
    pipe = Pipe("abc")
    written = pipe.written()
    for piece in (b"a", b"b", b"c"):
        written.write(1, "stdout", piece)
    assert pipe.arrived.wait(DEADLINE_S)


def test_streams_and_scopes_keep_their_order_and_their_characters() -> None:
    pipe = Pipe()
    written = pipe.written()
    euro = "€".encode()
    written.write(1, "stdout", b"a" + euro[:1])
    written.write(1, "stderr", b"b")
    written.write(1, "stdout", euro[1:])
    written.write(2, "stdout", b"c")
    written.ended(2)
    written.write(1, "stdout", b"\xffd")
    written.ended(1)
    joined = [(scope, stream, text) for scope, stream, text in pipe.texts if text]
    assert joined == [
        (1, "stdout", "a"),
        (1, "stderr", "b"),
        (1, "stdout", "€"),
        (2, "stdout", "c"),
        (1, "stdout", "\ufffdd"),
    ]


def test_a_character_that_never_becomes_whole_is_told_at_the_end() -> None:
    pipe = Pipe()
    written = pipe.written()
    written.write(1, "stdout", b"caf\xe9")
    written.write(2, "stdout", b"\xe2\x82")
    written.ended(1)
    written.ended(2)
    texts = {scope: "".join(text for its, _, text in pipe.texts if its == scope) for scope in (1, 2)}
    assert texts == {1: "caf\ufffd", 2: "\ufffd"}


def test_of_frames_with_one_key_the_last_one_is_sent() -> None:
    pipe = Pipe()
    written = pipe.written()
    written.write(1, "stdout", b"x")
    for number in range(1000):
        written.tell("a", {"op": "show", "number": number})
    written.flush()
    assert pipe.frames[-1]["number"] == 999
    assert len(pipe.frames) < 500


def test_a_burst_needs_no_wait_and_what_is_more_does() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert all(pace.wait_s() == 0 for _ in range(Pace.BURST))
    assert [pace.wait_s() for _ in range(Pace.A_SECOND)][-1] == 1.0
    now[0] += 2.0
    assert pace.wait_s() == 0
