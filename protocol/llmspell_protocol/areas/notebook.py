"""`notebook_request`: notebooks that share a kernel, each through a door of its own with contexts of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.structs import Struct


class NotebookOpen(Struct):
    """A door of five more sockets for a frontend: it is open until the notebook is shut down, or this request ends.

    The connection file decides addresses and key, and is read by the kernel; it has to be of this machine alone.
    """

    connection_file: str
    """an absolute path"""
    name: str = ""
    """what the frontend calls it: a notebook's path"""
    cwd: str | None = None
    """where its cells run: an absolute path"""


class NotebookOpened(Struct):
    """The door is open."""

    notebook: str
    """its id"""


class NotebookOpenReply(Struct):
    """The notebook has ended, and its variables with it."""

    notebook: str
    ended: Literal["shutdown", "restart", "closed", "replaced"]
    """asked through its own door, by `close`, or because the same connection file was opened again"""


class NotebookSummary(Struct):
    """One open notebook."""

    id: str
    name: str
    state: Literal["busy", "idle"]
    execution_count: int
    subshells: int
    clients: int
    """frontends that are connected"""
    pid: int | None
    """the process of its script; null where it has died"""
    memory_bytes: int | None
    """what its scripts hold, subshells too"""
    models: Sequence[str]
    """loaded models that it has used"""
    started_at: str


class NotebookListReply(Struct):
    """The open notebooks, oldest first."""

    notebooks: Sequence[NotebookSummary]
    count: int


class NotebookNamed(Struct):
    """The notebook that is meant."""

    notebook: str


class NotebookCloseReply(Struct):
    """It has ended."""

    notebook: str


ACTIONS: Mapping[str, Action] = {
    "open": Action(
        NotebookOpen,
        NotebookOpenReply,
        right="admin",
        example={"connection_file": "/run/user/1000/jupyter/kernel-5c1.json", "name": "analysis.ipynb"},
        progress=(NotebookOpened,),
    ),
    "list": Action(Empty, NotebookListReply, right="admin", example={}, looks=True),
    "close": Action(
        NotebookNamed, NotebookCloseReply, right="admin", example={"notebook": "analysis-0677"}, looks=True
    ),
}
