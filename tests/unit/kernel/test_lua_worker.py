"""The worker's loop over frames: what it serves while a script waits, and what it ignores."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llmspell_kernel.scripting.lua.worker import Worker
from llmspell_protocol.frames import Frame, FramePipe

START = {"op": "start", "id": 0, "stdlib": "All", "max_memory_bytes": 50_000_000, "sessions": True, "rag": True}
JOB = {
    "op": "execute",
    "name": "t.lua",
    "script": "t.lua",
    "cell": False,
    "shows_value": False,
    "data": False,
    "arguments": [],
    "script_directory": None,
    "working_directory": None,
    "environment": {},
    "file_access": False,
    "read": [],
    "write": [],
    "programs": [],
    "variables": [],
    "asks": False,
    "frontend": False,
    "number": 0,
    "max_output_bytes": 1000,
    "stdin": "none",
    "expressions": {},
    "path": None,
    "debug": True,
}


@pytest.fixture(autouse=True)
def _memory_is_unlimited_again() -> Iterator[None]:
    """A worker limits its own process, which is the tests' here."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


class NothingLeft(Exception):
    """The test's frames have all been read."""


class ScriptedPipe(FramePipe):
    """Gives a test's frames one by one and keeps what is sent; `on_send` may add frames as an answer."""

    def __init__(self, frames: list[Frame]) -> None:
        self.frames = frames
        self.sent: list[Frame] = []
        self.on_send: Callable[[Frame], None] = lambda _frame: None

    def send(self, frame: Any) -> None:
        self.sent.append(dict(frame))
        self.on_send(dict(frame))

    def receive(self, timeout_s: float | None = None) -> Frame | None:
        if self.frames:
            return self.frames.pop(0)
        if timeout_s is not None:
            return None
        raise NothingLeft


def _served(*frames: Frame, on_send: Callable[[Frame, list[Frame]], None] | None = None) -> list[Frame]:
    pipe = ScriptedPipe([START, *frames])
    if on_send is not None:
        pipe.on_send = lambda frame: on_send(frame, pipe.frames)
    worker = Worker(pipe)
    with pytest.raises(NothingLeft):
        worker.run()
    return pipe.sent


def test_a_start_is_answered_when_the_worker_is_ready() -> None:
    assert _served() == [{"op": "done", "id": 0}]


def test_an_interrupt_for_an_earlier_execution_is_ignored() -> None:
    def answer(frame: Frame, frames: list[Frame]) -> None:
        if frame["op"] == "stream":
            frames.append({"op": "cancel", "id": 1})

    code = "print('x') local n = 0 for i = 1, 1e6 do n = n + 1 end return n"
    sent = _served({**JOB, "id": 2, "code": code}, on_send=answer)
    assert sent[-1]["value"] == 1_000_000


def test_an_interrupt_for_the_running_execution_ends_it() -> None:
    def answer(frame: Frame, frames: list[Frame]) -> None:
        if frame["op"] == "stream":
            frames.append({"op": "cancel", "id": 2})

    sent = _served({**JOB, "id": 2, "code": "print('x') while true do end"}, on_send=answer)
    assert (sent[-1]["op"], sent[-1]["kind"], sent[-1]["line"], sent[-1]["id"]) == ("error", "stopped", 1, 2)


def test_a_waiting_script_has_its_functions_called_and_its_code_completed() -> None:
    def answer(frame: Frame, frames: list[Frame]) -> None:
        if frame["op"] == "request":
            frames += [
                {"op": "invoke", "id": 7, "fn": 1, "arguments": [20], "lent": True},
                {"op": "complete", "id": 8, "code": "JSON.pa", "cursor": 7, "directory": None, "places": []},
                {"op": "release", "id": 9, "fn": 1},
                {"op": "invoke", "id": 10, "fn": 1, "arguments": [20], "lent": True},
                {"op": "execute", "id": 11, **{k: v for k, v in JOB.items() if k != "op"}, "code": "return total"},
                {"op": "reply", "id": frame["id"], "content": {"status": "ok", "n": 1}},
            ]

    pipe = ScriptedPipe([START])
    worker = Worker(pipe)
    with pytest.raises(NothingLeft):
        worker.run()
    sandbox = worker._sandbox
    assert sandbox is not None
    # The globals that offer functions come later.
    sandbox._environment[b"offer"] = sandbox._core["offer"]
    pipe.on_send = lambda frame: answer(frame, pipe.frames)
    code = "total = 0 offer(function(n) total = total + n return total * 2 end) return {LocalLLM.ps().n, total}"
    pipe.frames.append({**JOB, "id": 2, "code": code})
    with pytest.raises(NothingLeft):
        worker.run()
    answers = {frame["id"]: frame for frame in pipe.sent if frame["op"] in ("done", "error") and frame["id"]}
    assert answers[7]["value"] == 40
    assert answers[8]["matches"] == [["parse", "function", "(text)"]]
    assert (answers[10]["op"], answers[10]["kind"]) == ("error", "not_found")
    assert answers[2]["value"] == [1, 20]
    assert answers[11]["value"] == 20
    assert list(answers) == [7, 8, 10, 2, 11]


def test_what_still_comes_of_a_cancelled_request_is_dropped() -> None:
    def answer(frame: Frame, frames: list[Frame]) -> None:
        if frame["op"] == "request":
            content = {"phase": "downloading", "percent_complete": 1.0}
            frames += [{"op": "progress", "id": frame["id"], "content": content}] * 3
        if frame["op"] == "cancel":
            frames.append({"op": "reply", "id": frame["id"], "content": {"status": "error", "code": "cancelled"}})

    code = "local ok = pcall(LocalLLM.pull, 'm', nil, function() return false end) Utils.sleep(0.01) return ok"
    sent = _served({**JOB, "id": 2, "code": code}, on_send=answer)
    assert [frame["op"] for frame in sent] == ["done", "began", "request", "cancel", "waiting", "waiting", "done"]
    assert sent[-1]["value"] is False


def test_bytes_of_one_character_may_come_in_two_writes() -> None:
    sent = _served({**JOB, "id": 2, "code": r"io.write('gr\xc3') io.write('\xbcn \xff')"})
    assert "".join(frame["text"] for frame in sent if frame["op"] == "stream") == "grün \ufffd"


def test_a_result_that_fits_no_frame_is_an_error() -> None:
    start = {**START, "max_memory_bytes": 400_000_000}
    pipe = ScriptedPipe([start, {**JOB, "id": 2, "code": "return ('x'):rep(7e7)"}])

    class Strict(ScriptedPipe):
        def send(self, frame: Any) -> None:
            from llmspell_protocol.frames import pack_frame

            pack_frame(frame)
            super().send(frame)

    strict = Strict(pipe.frames)
    with pytest.raises(NothingLeft):
        Worker(strict).run()
    assert strict.sent[-1] == {
        "op": "error",
        "id": 2,
        "kind": "error",
        "message": "the script's result is too large to be sent",
    }
