"""The one tree of errors: every failure that crosses a border has a code here, and every code an exit status.

Kernel, providers, workers, clients and the command line raise and catch these classes; nothing translates between
trees. An error becomes message content by `to_content` and comes back from it by `error_from_content`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class LlmspellError(Exception):
    """Something failed, with a code that programs can act on and a message that people can.

    `message` says what happened with the names involved; `hint` what to do next, as a command where there is one;
    `details` holds the numbers and names behind the message; `retryable` says whether the same request may succeed
    later without anything being changed.
    """

    code = "internal"
    exit_status = 1
    retryable = False

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, Any] = dict(details or {})
        if retryable is not None:
            self.retryable = retryable

    def to_content(self) -> dict[str, Any]:
        """The error as reply content: Jupyter's `ename, evalue, traceback` beside our own fields."""
        content: dict[str, Any] = {
            "status": "error",
            "ename": self.code,
            "evalue": self.message,
            "traceback": list(self.details.get("traceback", ())) or [self.message],
            "code": self.code,
            "message": self.message,
            "retryable": self.retryable,
            "details": self.details,
        }
        if self.hint is not None:
            content["hint"] = self.hint
        return content


class Internal(LlmspellError):
    """A defect of ours; `details.incident` is the id under which the log holds the traceback."""


class InvalidRequest(LlmspellError):
    """The request itself is wrong: a missing field, a wrong type, an impossible combination."""

    code = "invalid_request"
    exit_status = 2


class Unsupported(LlmspellError):
    """The request is understood, but this kernel, backend or model cannot do it."""

    code = "unsupported"
    exit_status = 2


class Unauthorized(LlmspellError):
    """The kernel does not accept the key."""

    code = "unauthorized"
    exit_status = 4


class Forbidden(LlmspellError):
    """The key is good, but does not allow this."""

    code = "forbidden"


class NotFound(LlmspellError):
    """Something that was named does not exist."""

    code = "not_found"
    exit_status = 3


class ModelNotFound(NotFound):
    """No backend has a model of this name."""

    code = "model_not_found"


class ToolNotFound(NotFound):
    """No tool has this name."""

    code = "tool_not_found"


class SessionNotFound(NotFound):
    """No session has this id."""

    code = "session_not_found"


class ProfileNotFound(NotFound):
    """No builtin profile has this name."""

    code = "profile_not_found"


class ConfigError(LlmspellError):
    """A setting is wrong; `details{file, line, column, key, variable}` say where."""

    code = "config_error"
    exit_status = 2


class BackendNotConfigured(ConfigError):
    """The configuration in force lacks the backend."""

    code = "backend_not_configured"


class Unavailable(LlmspellError):
    """Something that should answer does not."""

    code = "unavailable"
    exit_status = 4
    retryable = True


class BackendUnavailable(Unavailable):
    """A model backend is down, slow or something else than what it should be."""

    code = "backend_unavailable"


class KernelUnreachable(Unavailable):
    """No kernel answers at the address, or the connection broke."""

    code = "kernel_unreachable"


class Busy(LlmspellError):
    """A queue is full; `details.retry_after_s` says when to come back."""

    code = "busy"
    retryable = True


class Timeout(LlmspellError):
    """The time that was allowed is over."""

    code = "timeout"
    exit_status = 5
    retryable = True


class Cancelled(LlmspellError):
    """A caller that may do so cancelled it; `details.partial` is the reply's content so far."""

    code = "cancelled"
    exit_status = 130


class ModelError(LlmspellError):
    """A model could not do what was asked."""

    code = "model_error"


class ModelLoadFailed(ModelError):
    """The file is not a model that the engine can load."""

    code = "model_load_failed"


class ModelInUse(ModelError):
    """The model answers a request, or another kernel has it loaded."""

    code = "model_in_use"


class OutOfMemory(ModelError):
    """A model does not fit into the memory budget (`details{needed_bytes, budget_bytes, held}`), or a worker took more
    than it may and was ended (`details{limit_bytes}`)."""

    code = "out_of_memory"


class ContextLengthExceeded(ModelError):
    """The prompt is longer than the context; `details{prompt_tokens, limit}`."""

    code = "context_length_exceeded"


class SchemaUnsupported(ModelError):
    """Nothing fits the JSON Schema, or no engine could hold a model to it; `details{keyword, at}`."""

    code = "schema_unsupported"


class SchemaViolation(ModelError):
    """The finished text does not fit the JSON Schema."""

    code = "schema_violation"


class WorkerCrashed(ModelError):
    """The worker process died; the next request starts another one."""

    code = "worker_crashed"
    retryable = True


class DownloadError(LlmspellError):
    """A download failed; what has come stays and the next pull resumes."""

    code = "download_error"
    retryable = True


class ChecksumMismatch(DownloadError):
    """The downloaded bytes are not the announced ones; they were deleted."""

    code = "checksum_mismatch"


class DiskFull(DownloadError):
    """The disk cannot hold the file; `details{needed_bytes, free_bytes}`."""

    code = "disk_full"
    retryable = False


class SourceUnavailable(DownloadError):
    """No source of the model answers."""

    code = "source_unavailable"


class RateLimited(DownloadError):
    """A source asks for a long pause; `details.retry_after_s` says when to come back, None where it did not."""

    code = "rate_limited"


class StorageError(LlmspellError):
    """A database of the home can't be used; `details{file, database}`. A full disk is `DiskFull`."""

    code = "storage_error"


class StorageDamaged(StorageError):
    """The file of a database is damaged; nothing was changed."""

    code = "storage_damaged"


class StorageVersion(StorageError):
    """A later version has written the database; `details{version, known}`."""

    code = "storage_version"


class Conflict(LlmspellError):
    """What a change was made for is not what is there now; `details{version, expected}`."""

    code = "conflict"
    retryable = True


class ScriptError(LlmspellError):
    """A script failed; `details{script, line, source_line, traceback, output}`."""

    code = "script_error"


class ScriptLimit(ScriptError):
    """A script used more memory or time than it may."""

    code = "script_limit"


class ToolError(LlmspellError):
    """A tool failed."""

    code = "tool_error"


class WorkflowFailed(LlmspellError):
    """A workflow that a command ran has failed; `details{execution_id, failed_step, failed_steps, result}`."""

    code = "workflow_failed"


def _tree(root: type[LlmspellError]) -> dict[str, type[LlmspellError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found.update(_tree(child))
    return found


ERRORS: dict[str, type[LlmspellError]] = {**_tree(LlmspellError), "internal": Internal}
"""Every code of the tree and its class."""


def error_from_content(content: Mapping[str, Any]) -> LlmspellError:
    """The error that an error reply's content describes.

    A code that this version does not know becomes `Internal` and keeps its name in `details.code`; Jupyter's bare
    errors (`ename` and `evalue` only) become `ScriptError`, which is what a kernel of another make means by them.
    """
    details = dict(content.get("details") or {})
    code = content.get("code")
    if code is None:
        ename = str(content.get("ename", "Error"))
        if content.get("status") in ("aborted", "abort"):
            return Cancelled("the request was aborted because an earlier one failed", details=details)
        details.setdefault("traceback", list(content.get("traceback") or ()))
        return ScriptError(f"{ename}: {content.get('evalue', '')}", details=details)
    kind = ERRORS.get(str(code))
    if kind is None:
        kind, details = Internal, {**details, "code": code}
    message = str(content.get("message") or content.get("evalue") or code)
    return kind(message, hint=content.get("hint"), details=details, retryable=bool(content.get("retryable", False)))


def exit_status(code: str) -> int:
    """The command line's exit status for an error code (1 for one that this version does not know)."""
    kind = ERRORS.get(code)
    return kind.exit_status if kind is not None else 1
