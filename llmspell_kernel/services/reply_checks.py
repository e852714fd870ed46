"""Schemas before a generation and finished replies after it, looked at in processes of their own. Knows no backend.

A process starts with a request that has a schema or tools, and again with the first token of a reply to be checked, so
that it is ready when it is needed. It does one thing at a time; what comes meanwhile gets another one. One idle process
is kept for a while.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from llmspell_protocol.background import of_no_request
from llmspell_protocol.calls import EXITED, Calls
from llmspell_protocol.child import Child
from llmspell_protocol.content import to_content
from llmspell_protocol.errors import (
    LlmspellError,
    OutOfMemory,
    SchemaUnsupported,
    SchemaViolation,
    WorkerCrashed,
    error_from_content,
)
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame
from llmspell_protocol.models import ChatRequest, ChatResult
from llmspell_protocol.worker_memory import REPLY_CHECK_BYTES
from llmspell_providers.schemas.grammars import Grammar

CHECK_WITHIN_S = 10.0
"""A reply of a thousand values takes a millisecond; a pattern that backtracks takes longer than anyone waits."""

KEPT_S = 60.0
"""How long the idle process waits for another reply."""

MOST_AT_ONCE = 4
"""Schemas and replies that are looked at at the same time; further ones wait for one of them."""

_WORKER = "llmspell_providers.reply_worker"
_LOG_NAME = "replies.log"


class ReplyChecks:
    """A small pool of processes that look at one schema or reply each; belongs to one event loop.

    `within_s` is how long that may take, `kept_s` how long the idle process waits for the next one.
    """

    def __init__(self, log_directory: Path, *, within_s: float = CHECK_WITHIN_S, kept_s: float = KEPT_S) -> None:
        self._log_path = log_directory / _LOG_NAME
        self._within_s = within_s
        self._kept_s = kept_s
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._running: set[Child] = set()
        self._idle: Calls | None = None
        self._rest: asyncio.TimerHandle | None = None

    def prepare(self) -> None:
        """Starts a process, if none is idle: a schema or a reply will come."""
        self._keep(self._take())

    async def admit(self, request: ChatRequest, grammar: Grammar | None) -> ChatRequest:
        """The request with its schema and tools as they may be given to a backend (`schemas.gate.admit`).

        Raises:
            InvalidRequest, SchemaUnsupported: they are no schemas, nothing fits them, or finding out takes too long.
            WorkerCrashed: the process ended meanwhile.
        """
        too_long = SchemaUnsupported(
            f"the schema could not be read within {self._within_s:g} s",
            hint="a pattern with nested repetition, such as (a+)+, can take for ever: write it without",
            details={"keyword": "schema", "at": ""},
        )
        how = None if grammar is None else to_content(grammar)
        frame = await self._ask("admit", too_long, schema=request.schema, tools=to_content(request.tools), grammar=how)
        return replace(request, schema=frame["schema"], tools=frame["tools"])

    async def check(self, result: ChatResult, request: ChatRequest) -> None:
        """Holds a finished reply against the request's schema.

        Raises:
            SchemaViolation: it does not fit, or finding out takes too long; `details{text, at, finish_reason}`.
            WorkerCrashed: the process ended meanwhile.
        """
        await self.demand_fit(result.message.content, request.schema, finish_reason=result.finish_reason)

    async def demand_fit(self, text: str, schema: object, *, finish_reason: str = "stop") -> None:
        """Holds a JSON text against a schema; raises as `check`."""
        too_long = SchemaViolation(
            f"the reply could not be held against its schema within {self._within_s:g} s",
            hint="a pattern with nested repetition, such as (a+)+, can take for ever: write it without",
            details={"text": text, "at": "", "finish_reason": finish_reason},
        )
        await self._ask("check", too_long, text=text, schema=schema, finish_reason=finish_reason)

    async def _ask(self, op: str, too_long: LlmspellError, **fields: Any) -> Frame:
        async with self._places:
            calls = self._take()
            is_sound = True
            try:
                call = calls.open(op, **fields)
                async with asyncio.timeout(self._within_s):
                    frame = await call.last()
                # What it holds by then is given back by its end alone.
                is_sound = frame["op"] != "error" or frame["error"]["code"] != OutOfMemory.code
            except TimeoutError:
                raise too_long from None
            finally:
                self._give_back(calls, is_sound=is_sound)
        if frame["op"] == EXITED:
            raise WorkerCrashed(
                f"the process that looks at schemas ended {ending(frame['status'])}",
                hint="ask again: the next one is looked at by another process",
                details={"exit_status": frame["status"]},
            )
        if frame["op"] == "error":
            raise error_from_content(frame["error"])
        return frame

    async def close(self) -> None:
        """Ends the processes."""
        if self._rest is not None:
            self._rest.cancel()
        for child in self._running:
            child.kill()
        if self._running:
            await asyncio.wait([child.exited for child in self._running])

    def _take(self) -> Calls:
        """The idle process, or a new one."""
        calls, self._idle = self._idle, None
        if self._rest is not None:
            self._rest.cancel()
        if calls is not None and calls.exit_status is None:
            return calls
        child = Child.spawn(_WORKER, environment={}, log_path=self._log_path, memory_bytes=REPLY_CHECK_BYTES)
        self._running.add(child)
        child.exited.add_done_callback(lambda _: self._running.discard(child))
        return Calls(child)

    def _give_back(self, calls: Calls, *, is_sound: bool) -> None:
        """Keeps a process that has answered, if none is idle; one whose check was given up computes on, and ends."""
        if is_sound and self._idle is None and not len(calls):
            self._keep(calls)
        else:
            calls.child.kill()

    def _keep(self, calls: Calls) -> None:
        self._idle = calls
        self._rest = of_no_request(asyncio.get_running_loop().call_later, self._kept_s, self._end_idle)

    def _end_idle(self) -> None:
        if self._idle is not None:
            self._idle.child.kill()
            self._idle = None
