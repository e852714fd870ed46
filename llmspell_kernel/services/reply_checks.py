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

from llmspell_kernel.worker_pool import WorkerPool
from llmspell_protocol.calls import EXITED
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
        self._within_s = within_s
        self._pool = WorkerPool(
            _WORKER,
            log_path=log_directory / _LOG_NAME,
            size=MOST_AT_ONCE,
            memory_bytes=REPLY_CHECK_BYTES,
            kept_s=kept_s,
        )

    def prepare(self) -> None:
        """Starts a process, if none is idle: a schema or a reply will come."""
        self._pool.prepare()

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
        try:
            async with self._pool.lease() as lease:
                call = lease.calls.open(op, **fields)
                async with asyncio.timeout(self._within_s):
                    frame = await call.last()
                if frame["op"] == "error" and frame["error"]["code"] == OutOfMemory.code:
                    # What it holds by then is given back by its end alone.
                    lease.spoil()
        except TimeoutError:
            raise too_long from None
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
        await self._pool.close()
