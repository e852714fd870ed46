"""The contents of Jupyter's own messages, version 5.5, one class a type: what `schemas/` is made from.

Source: https://jupyter-client.readthedocs.io/en/stable/messaging.html. Nothing imports this at run time; what a kernel
reads is in `standard_requests.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmspell_protocol.standard_requests import (
    CommInfoRequest,
    CompleteRequest,
    DeleteSubshellRequest,
    ExecuteRequest,
    HistoryRequest,
    InspectRequest,
    IsCompleteRequest,
    ShutdownRequest,
)

MimeBundle = Mapping[str, Any]
"""A value in several forms: MIME type → data, `text/plain` always among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoContent:
    """A message that says all by its type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorReply:
    """Every reply that is an error: Jupyter's three fields, and ours."""

    status: Literal["error", "aborted"]
    ename: str | None = None
    evalue: str | None = None
    traceback: Sequence[str] = ()
    execution_count: int | None = None
    code: str | None = None
    message: str | None = None
    hint: str | None = None
    retryable: bool = False
    details: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteReply:
    """The code ran."""

    status: Literal["ok"]
    execution_count: int | None = None
    user_expressions: Mapping[str, Any] | None = None
    payload: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteReply:
    """Candidates for the text from `cursor_start` to `cursor_end`."""

    status: Literal["ok"]
    matches: Sequence[str]
    cursor_start: int
    cursor_end: int
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectReply:
    """What is known, if anything."""

    status: Literal["ok"]
    found: bool
    data: MimeBundle
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class IsCompleteReply:
    """The answer; `indent` belongs to `incomplete`."""

    status: Literal["complete", "incomplete", "invalid", "unknown"]
    indent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryReply:
    """Entries of (session, line, input), with `output` (session, line, (input, output))."""

    status: Literal["ok"]
    history: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommInfoReply:
    """Open comms by id."""

    status: Literal["ok"]
    comms: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommOpen:
    """A new comm between a kernel and a frontend; either may send it."""

    comm_id: str
    target_name: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommMessage:
    """Something said on a comm, or (`comm_close`) its end."""

    comm_id: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugMessage:
    """A message of the Debug Adapter Protocol, as it is."""

    type: Literal["request", "response", "event"]
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubshellReply:
    """A new subshell."""

    status: Literal["ok"]
    subshell_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListSubshellReply:
    """The subshells there are."""

    status: Literal["ok"]
    subshell_id: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageInfo:
    """What frontends need to know about a kernel's language."""

    name: str
    version: str
    mimetype: str
    file_extension: str
    pygments_lexer: str | None = None
    codemirror_mode: str | Mapping[str, Any] | None = None
    nbconvert_exporter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelInfoReply:
    """What the kernel is; `llmspell` is ours: `{version, protocol, features, backends}`."""

    status: Literal["ok"]
    protocol_version: str
    implementation: str
    implementation_version: str
    language_info: LanguageInfo
    banner: str
    help_links: Sequence[Mapping[str, str]] = ()
    supported_features: Sequence[str] = ()
    debugger: bool = False
    llmspell: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A reply that says only that it went well."""

    status: Literal["ok"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShutdownReply:
    """The kernel ends after this."""

    status: Literal["ok"]
    restart: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequest:
    """The kernel asks for a line."""

    prompt: str
    password: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InputReply:
    """The line; `eof` (ours) says that no more will come."""

    value: str
    eof: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What the kernel does for the parent's request; on IOPub, as all of the following."""

    execution_state: Literal["busy", "idle", "starting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Printed text."""

    name: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayData:
    """Something to show; `transient.display_id` names it for updates."""

    data: MimeBundle
    metadata: Mapping[str, Any]
    transient: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteInput:
    """The code that runs now."""

    code: str
    execution_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteResult:
    """The value of a cell."""

    execution_count: int
    data: MimeBundle
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """A cell failed."""

    ename: str
    evalue: str
    traceback: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearOutput:
    """Remove what the cell has shown; `wait` until there is something new."""

    wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The subscription has arrived (JEP 65): what is published from here on will be seen."""

    subscription: str


STANDARD: Mapping[str, tuple[type, ...]] = {
    "execute_request": (ExecuteRequest,),
    "execute_reply": (ExecuteReply, ErrorReply),
    "complete_request": (CompleteRequest,),
    "complete_reply": (CompleteReply, ErrorReply),
    "inspect_request": (InspectRequest,),
    "inspect_reply": (InspectReply, ErrorReply),
    "is_complete_request": (IsCompleteRequest,),
    "is_complete_reply": (IsCompleteReply, ErrorReply),
    "history_request": (HistoryRequest,),
    "history_reply": (HistoryReply, ErrorReply),
    "comm_info_request": (CommInfoRequest,),
    "comm_info_reply": (CommInfoReply, ErrorReply),
    "comm_open": (CommOpen,),
    "comm_msg": (CommMessage,),
    "comm_close": (CommMessage,),
    "kernel_info_request": (NoContent,),
    "kernel_info_reply": (KernelInfoReply, ErrorReply),
    "interrupt_request": (NoContent,),
    "interrupt_reply": (Done, ErrorReply),
    "shutdown_request": (ShutdownRequest,),
    "shutdown_reply": (ShutdownReply, ErrorReply),
    "debug_request": (DebugMessage,),
    "debug_reply": (DebugMessage, ErrorReply),
    "debug_event": (DebugMessage,),
    "create_subshell_request": (NoContent,),
    "create_subshell_reply": (SubshellReply, ErrorReply),
    "delete_subshell_request": (DeleteSubshellRequest,),
    "delete_subshell_reply": (Done, ErrorReply),
    "list_subshell_request": (NoContent,),
    "list_subshell_reply": (ListSubshellReply, ErrorReply),
    "input_request": (InputRequest,),
    "input_reply": (InputReply,),
    "status": (Status,),
    "stream": (Stream,),
    "display_data": (DisplayData,),
    "update_display_data": (DisplayData,),
    "execute_input": (ExecuteInput,),
    "execute_result": (ExecuteResult,),
    "error": (Error,),
    "clear_output": (ClearOutput,),
    "iopub_welcome": (Welcome,),
}
"""Message type → the classes that its content may be of."""
