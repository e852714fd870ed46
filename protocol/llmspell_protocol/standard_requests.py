"""The contents of the standard requests that a kernel reads, one class a type.

The other messages are in `generate/standard_messages.py`. Source: version 5.5 of
https://jupyter-client.readthedocs.io/en/stable/messaging.html. Named tuples, since a script waits for the making of
these classes: seven of them cost what one frozen dataclass does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class ExecuteRequest(NamedTuple):
    """Run code in the shared context, or (`metadata.llmspell.isolated`) in one of its own."""

    code: str
    silent: bool = False
    store_history: bool = True
    user_expressions: Mapping[str, str] | None = None
    allow_stdin: bool | None = None
    """Absent: a cell may ask, an isolated run may not."""
    stop_on_error: bool = True


class CompleteRequest(NamedTuple):
    """What could stand at the cursor, which is counted in code points; absent, it stands at the end."""

    code: str
    cursor_pos: int | None = None


class InspectRequest(NamedTuple):
    """What is known about the name at the cursor, as in `CompleteRequest`; the level of detail is one."""

    code: str
    cursor_pos: int | None = None
    detail_level: Literal[0, 1] = 0


class IsCompleteRequest(NamedTuple):
    """Whether a console should run this or ask for another line."""

    code: str


class HistoryRequest(NamedTuple):
    """Earlier cells."""

    hist_access_type: Literal["range", "tail", "search"] = "range"
    output: bool = False
    raw: bool = True
    session: int | None = None
    start: int | None = None
    stop: int | None = None
    n: int | None = None
    pattern: str | None = None
    unique: bool = False


class CommInfoRequest(NamedTuple):
    """Open comms of one target or all."""

    target_name: str | None = None


class CommOpen(NamedTuple):
    """A comm's beginning: who is to hear of it; what is said with it is not read here."""

    comm_id: str
    target_name: str


class CommMessage(NamedTuple):
    """Something said on a comm, or its end: which one it is; what is said is not read here."""

    comm_id: str


class DeleteSubshellRequest(NamedTuple):
    """End a subshell, and what runs in it."""

    subshell_id: str


class ShutdownRequest(NamedTuple):
    """End the kernel; `restart` says that another one will take its place."""

    restart: bool = False
