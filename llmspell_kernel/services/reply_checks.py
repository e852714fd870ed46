"""Whether finished replies fit their schemas, found out in a process of its own. Knows no backend.

The process starts with the first token of a reply that has a schema, so that it is ready when the reply ends, and is
kept for a while.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from llmspell_protocol.calls import EXITED, Call, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.errors import SchemaViolation, WorkerCrashed, error_from_content
from llmspell_protocol.models import ChatRequest, ChatResult

CHECK_WITHIN_S = 10.0
"""A reply of a thousand values takes a millisecond; a pattern that backtracks takes longer than anyone waits."""

KEPT_S = 60.0
"""How long the process waits for another reply."""

_WORKER = "llmspell_providers.reply_worker"
_LOG_NAME = "replies.log"


class ReplyChecks:
    """Checks one reply after the other; belongs to one event loop.

    `within_s` is how long one of them may take, `kept_s` how long the process waits for the next one.
    """

    def __init__(self, log_directory: Path, *, within_s: float = CHECK_WITHIN_S, kept_s: float = KEPT_S) -> None:
        self._log_path = log_directory / _LOG_NAME
        self._within_s = within_s
        self._kept_s = kept_s
        self._one = asyncio.Lock()
        self._calls: Calls | None = None
        self._killed: set[asyncio.Future[int]] = set()
        self._rest: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        """Starts the process, if it doesn't run: a reply with a schema will come."""
        if self._rest is not None:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(self._kept_s, self._end_idle)
        if self._calls is None or self._calls.exit_status is not None:
            self._calls = Calls(Child.spawn(_WORKER, environment={}, log_path=self._log_path))

    async def check(self, result: ChatResult, request: ChatRequest) -> None:
        """Holds a finished reply against the request's schema.

        Raises:
            SchemaViolation: it does not fit, or finding out takes too long; `details{text, at, finish_reason}`.
            WorkerCrashed: the process ended meanwhile.
        """
        async with self._one:
            self.prepare()
            assert self._calls is not None
            text, finish_reason = result.message.content, result.finish_reason
            call = self._calls.open("check", text=text, schema=request.schema, finish_reason=finish_reason)
            try:
                async with asyncio.timeout(self._within_s):
                    frame = await call.last()
            except TimeoutError:
                raise SchemaViolation(
                    f"the reply could not be held against its schema within {self._within_s:g} s",
                    hint="a pattern with nested repetition, such as (a+)+, can take for ever: write it without",
                    details={"text": text, "at": "", "finish_reason": finish_reason},
                ) from None
            finally:
                self._end_if_busy(call)
        if frame["op"] == EXITED:
            raise WorkerCrashed(f"the process that checks replies ended (status {frame['status']})")
        if frame["op"] == "error":
            raise error_from_content(frame["error"])

    async def close(self) -> None:
        """Ends the process."""
        if self._rest is not None:
            self._rest.cancel()
        if self._calls is not None:
            await self._calls.child.end()
        if self._killed:
            await asyncio.wait(self._killed)

    def _end_if_busy(self, call: Call) -> None:
        """A check that was given up would keep the next ones waiting."""
        if not call.done:
            self._kill()

    def _end_idle(self) -> None:
        if self._one.locked():
            self._rest = asyncio.get_running_loop().call_later(self._kept_s, self._end_idle)
        else:
            self._kill()

    def _kill(self) -> None:
        if self._calls is not None:
            child, self._calls = self._calls.child, None
            child.kill()
            self._killed.add(child.exited)
            child.exited.add_done_callback(self._killed.discard)
