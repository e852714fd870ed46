"""Calls to a worker over its `Child`: ids, which answer belongs to which call, cancel, and what a crash means for them.

A call is a frame `{op, id, …}`. The worker answers it with any number of `progress`, `delta`, `chunks` and `files`
frames and, last, one `done` or `error`, each with the call's id; `{op: "cancel", id}` asks it to end early. An `ask`
frame is a question of the worker's about its call, which waits for an `answer` with the same id. When the process ends,
every unfinished call gets a last frame `{op: "exited", id, status}`. A frame of any other op answers no call.

A frame goes from the pipe's reader straight to its call: no task, no queue of its own, one future for a caller that
waits. Knows no models and no scripts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from llmspell_protocol.child import Child
from llmspell_protocol.frames import Frame, NotAFrame

EXITED = "exited"
"""The op of the last frame of a call whose worker has ended; `status` is the exit status (negative: the signal)."""

_ANSWERS = frozenset({"delta", "progress", "chunks", "files", "ask", "done", "error"})
_LAST = frozenset({"done", "error", EXITED})


class Call:
    """One call and what has come of it so far; `done` once its last frame is there, read or not."""

    __slots__ = ("_calls", "_frames", "_left", "_waiting", "done", "id")

    def __init__(self, calls: Calls, number: int) -> None:
        self.id = number
        self.done = False
        self._calls = calls
        self._frames: deque[Frame] = deque()
        self._waiting: asyncio.Future[None] | None = None
        self._left = False

    @property
    def left(self) -> bool:
        """Whether no request waits for it any more."""
        return self._left

    async def next(self) -> Frame:
        """The next frame; deltas of text that have piled up come as one. One caller at a time; safe to cancel."""
        while not self._frames:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        frame = self._frames.popleft()
        if self._frames and frame["op"] == "delta" and "text" in frame:
            pieces = [frame["text"]]
            while self._frames and self._frames[0]["op"] == "delta" and "text" in self._frames[0]:
                pieces.append(self._frames.popleft()["text"])
            frame["text"] = "".join(pieces)
        return frame

    async def last(self) -> Frame:
        """The last frame (`done`, `error` or `exited`); what comes before it is dropped. Safe to cancel."""
        while True:
            frame = await self.next()
            if frame["op"] in _LAST:
                return frame

    def answer(self, **fields: Any) -> None:
        """Answers the worker's question, its last `ask` frame; nothing for a call that is done.

        Raises:
            FrameTooLarge: the fields fit no frame; nothing was sent, as with whatever else `pack_frame` raises.
        """
        if not self.done:
            self._calls.child.send({"op": "answer", "id": self.id, **fields})

    def cancel(self) -> None:
        """Asks the worker to end the call early; the last frame still comes. Nothing for a call that is done."""
        if not self.done:
            self._calls.child.send({"op": "cancel", "id": self.id})

    def leave(self) -> None:
        """Ends the caller's interest: the call is cancelled if it isn't done, and what still comes of it is dropped."""
        self._left = True
        self._frames.clear()
        self.cancel()

    def give_up(self, frame: Frame) -> None:
        """Ends the caller's wait with this frame for the last; what still comes from the worker is dropped."""
        if not self._left:
            self.put(frame)
            self._left = True

    def put(self, frame: Frame) -> None:
        """Takes a frame that answers this call."""
        if self._left:
            return
        self._frames.append(frame)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


class Calls:
    """The calls to one worker; belongs to the loop of its child, whose frames and end it takes over.

    `on_frame` gets each frame that answers no call, `on_exit` the exit status after every call has got its last frame.
    """

    def __init__(
        self,
        child: Child,
        *,
        on_frame: Callable[[Frame], None] | None = None,
        on_exit: Callable[[int], None] | None = None,
    ) -> None:
        self.child = child
        self.exit_status: int | None = None
        """How the process ended; None while it runs."""
        self._on_frame = on_frame
        self._on_exit = on_exit
        self.failed_at_exit = 0
        """How many calls were waited for when the process ended."""
        self._open: dict[int, Call] = {}
        self._next_id = 0
        child.hand_over(self._take, self._exited)

    def __len__(self) -> int:
        """How many calls the worker has not finished, those that were cancelled or left included."""
        return len(self._open)

    @property
    def wanted(self) -> int:
        """How many calls are waited for: those that are open and were not left."""
        return sum(not call.left for call in self._open.values())

    def open(self, op: str, **fields: Any) -> Call:
        """Sends a call; the first has the id 0. One to a worker that has ended gets its last frame at once.

        Raises:
            FrameTooLarge: the fields fit no frame; nothing was sent, as with whatever else `pack_frame` raises.
        """
        number, self._next_id = self._next_id, self._next_id + 1
        call = self._open[number] = Call(self, number)
        if self.exit_status is not None:
            self._finish(call, self.exit_status)
            return call
        try:
            self.child.send({"op": op, "id": number, **fields})
        except (TypeError, ValueError):
            del self._open[number]
            raise
        return call

    def _take(self, frame: Frame) -> None:
        op = frame["op"]
        if op not in _ANSWERS:
            if self._on_frame is not None:
                self._on_frame(frame)
            return
        number = frame.get("id")
        if not isinstance(number, int):
            raise NotAFrame(f"a frame '{op}' has no id")
        call = self._open.get(number)
        if call is None:
            return
        if op in _LAST:
            call.done = True
            del self._open[call.id]
        call.put(frame)

    def _exited(self, status: int) -> None:
        self.exit_status = status
        self.failed_at_exit = self.wanted
        for call in tuple(self._open.values()):
            self._finish(call, status)
        if self._on_exit is not None:
            self._on_exit(status)

    def _finish(self, call: Call, status: int) -> None:
        call.done = True
        del self._open[call.id]
        call.put({"op": EXITED, "id": call.id, "status": status})
