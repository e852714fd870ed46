"""How an execution ended: the result, or the error that a worker's last frame means."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from llmspell_kernel.scripting.limits import ScriptLimits
from llmspell_protocol.calls import EXITED
from llmspell_protocol.errors import Cancelled, LlmspellError, ScriptError, ScriptLimit, WorkerCrashed
from llmspell_protocol.exit_status import ending
from llmspell_protocol.frames import Frame

_GONE = "the script worker was ended and the context's variables are gone"


class Result(NamedTuple):
    """How a job ended well: its first value, and all of them as `text`, which is None where it gave none."""

    value: Any
    text: str | None
    duration_ms: int
    exit_code: int | None = None
    expressions: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    payload: Sequence[Mapping[str, Any]] = ()
    """What the frontend is asked to do."""
    values: int = 1
    """How many the text shows."""
    problem: str | None = None
    """Why the value has no form as data."""
    bundle: Mapping[str, Any] | None = None
    """`data` and `metadata` by MIME type, where the value has more forms than the text."""


def cancelled_error(frame: Frame, reason: str | None, *, killed: bool) -> BaseException:
    """What a cancelled execution raises; without a reason (a time limit of the request, the loop's end) the
    caller that cancelled says what that means."""
    if reason is None:
        return asyncio.CancelledError()
    gone = f"; it did not stop by itself: {_GONE}" if killed else ""
    said = reason if reason.startswith("interrupted") else f"interrupted: {reason}"
    return Cancelled(f"{said}{gone}", details=_details(frame))


def failure(frame: Frame, name: str, limits: ScriptLimits, *, limit: str | None, killed: bool) -> LlmspellError:
    """The error of an execution that failed by itself, or at `limit`; `name` is the script's."""
    details = _details(frame, name)
    if limit is not None:
        return ScriptLimit(
            f"{limit}; {_GONE}" if killed else limit,
            hint="raise engines.lua.timeout_ms (computing) or runtime.script_timeout_seconds (all in all)",
            details=details,
        )
    if frame["op"] == EXITED:
        return crashed(frame)
    if frame["kind"] == "stopped":
        return Cancelled("cancelled: the script around this function was stopped", details=details)
    if frame["kind"] == "memory":
        return ScriptLimit(
            f"{_place(frame, name)}: not enough memory (limit {limits.max_memory_bytes} bytes)",
            hint="raise engines.lua.max_memory_bytes and runtime.security.max_memory_bytes, or hold less at once",
            details={**details, "limit_bytes": limits.max_memory_bytes},
        )
    return ScriptError(frame["message"], hint=frame.get("hint"), details=details)


def spoiled(error: LlmspellError, frame: Frame, name: str, *, killed: bool) -> LlmspellError:
    """The error of an execution for which the kernel could not do something; with the place where it was stopped."""
    for key, value in _details(frame, name).items():
        error.details.setdefault(key, value)
    if killed:
        error.message = f"{error.message}; it did not stop by itself: {_GONE}"
    return error


def crashed(frame: Frame) -> WorkerCrashed:
    """The error for a worker that ended by itself."""
    status = frame["status"]
    return WorkerCrashed(
        f"The script worker ended unexpectedly {ending(status)}; the context's variables are gone",
        hint="run it again: the next execution starts a new worker",
        details={"exit_status": status},
    )


def _place(frame: Frame, name: str) -> str:
    """Where it was, as far as that is known."""
    line = frame.get("line")
    return name if line is None else f"{frame.get('script') or name}:{line}"


def _details(frame: Frame, name: str | None = None) -> dict[str, Any]:
    details = {
        "script": frame.get("script") or name,
        "line": frame.get("line"),
        "source_line": frame.get("source_line"),
        "traceback": list(frame.get("traceback") or ()),
    }
    if frame.get("cause"):
        details["cause"] = frame["cause"]
    return details
