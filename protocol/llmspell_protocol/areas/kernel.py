"""`kernel_request`: what a kernel tells about itself, and how it is steered beyond what Jupyter's messages can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.areas.notebook import NotebookSummary
from llmspell_protocol.connection import Channel
from llmspell_protocol.structs import Struct


class KernelMetricsReply(Struct):
    """Figures of the kernel's process, without its workers; `cpu_percent` since they were last asked for."""

    cpu_percent: float
    memory_bytes: int
    memory_percent: float
    open_files: int
    uptime_s: float
    last_activity: str
    active_connections: int
    requests_handled: int
    messages_dropped: Mapping[str, int]
    models_loaded: int
    queue: int
    rag: Mapping[str, int] | None = None
    """operations of RAG by kind, and their counts; None: they are not wanted (`rag.performance.enable_metrics`)"""


class KernelRag(Struct):
    """The process that has the collections of documents."""

    pid: int | None
    """None: it does not run now"""
    memory_bytes: int
    path: str | None
    """of the database; None: in memory"""
    healthy: bool | None
    """None: nothing was asked yet, or it is not to be told (`rag.monitoring.enable_health_checks`)"""
    problem: str | None


class KernelStatusReply(Struct):
    """Id, state, places and figures.

    `Busy`: requests run. `Healthy`: none runs, and a client besides the caller is connected. `Idle`: the caller is the
    only client, so that the idle timeout would count without it. `Shutting Down`: it drains and takes no more work.
    """

    id: str | None
    pid: int
    state: Literal["Healthy", "Busy", "Idle", "Shutting Down"]
    version: str
    profile: str | None
    config_file: str | None
    transport: Literal["tcp", "ipc", "inproc"]
    port: int | None
    ports: Mapping[Channel, int]
    connection_file: str | None
    pid_file: str | None
    log_file: str | None
    started_at: str
    clients: int
    active_requests: int
    models: Sequence[str]
    notebooks: Sequence[NotebookSummary]
    """those that share this kernel"""
    rag: KernelRag | None
    """None: nothing has asked for documents"""
    metrics: KernelMetricsReply


class QueuedRequest(Struct):
    """One unfinished request."""

    msg_id: str
    type: str
    action: str | None
    client: str
    kind: Literal["client", "script"]
    parent: str | None


class KernelQueueReply(Struct):
    """The unfinished requests, oldest first."""

    requests: Sequence[QueuedRequest]


class KernelCancel(Struct):
    """Cancel the unfinished request with this id: one of the same session or, with the right `admin`, any."""

    msg_id: str


class KernelCancelReply(Struct):
    """The request that ends now, by id and type; its own reply says `cancelled`."""

    cancelled: str
    request: str


class KernelDrain(Struct):
    """Stop accepting work, let what runs finish within the timeout (the configured one if absent), then end."""

    timeout_s: float | None = None


class KernelDrainReply(Struct):
    """The kernel ends when `active` requests have, or when the time is over."""

    draining: bool
    timeout_s: float
    active: int


class KernelReloadReply(Struct):
    """Settings that changed, by key: in force now, for models that are loaded from now on, or after a restart."""

    applied: Sequence[str]
    at_next_load: Sequence[str]
    restart_needed: Sequence[str]
    warnings: Sequence[str]


class KernelConfig(Struct):
    """The configuration in force, or the part of it that a dotted path names."""

    section: str | None = None


class KernelConfigReply(Struct):
    """The configuration in force: nested tables, or one value. Secrets are `"***"`.

    `path` has the names of the section that was asked for; `sources` tells where each value comes from, by dotted key;
    `origin` names the file or profile behind it all.
    """

    config: Any
    path: Sequence[str]
    sources: Mapping[str, str]
    origin: str
    profile: str | None
    config_file: str | None


class KernelSettingsReply(Struct):
    """All settings in force as scripts may know them: nested tables, without what is unset.

    Secrets are `"<REDACTED>"`.
    """

    settings: Mapping[str, Any]


class KernelLuaApiReply(Struct):
    """What scripts of this kernel can call, as definitions for an editor's Lua language server."""

    version: str
    definitions: str


class KernelLogs(Struct):
    """The last lines of the kernel's log."""

    lines: int = 50


class KernelLogsReply(Struct):
    """The last lines of the log, oldest first; none where the kernel has no log file."""

    lines: Sequence[str]


class KernelDatabase(Struct):
    """A database of this kernel's home whose file is there; `problems` say how it is damaged."""

    name: str
    holds: str
    path: str
    bytes: int
    version: int | None
    """None: it is damaged"""
    known_version: int
    """a file with a later version is refused"""
    problems: Sequence[str]


class KernelStorageReply(Struct):
    """All of them, each examined whole."""

    databases: Sequence[KernelDatabase]


ACTIONS: Mapping[str, Action] = {
    "status": Action(Empty, KernelStatusReply, right=None, example={}, looks=True),
    "metrics": Action(Empty, KernelMetricsReply, right=None, example={}, looks=True),
    "queue": Action(Empty, KernelQueueReply, right="admin", example={}, looks=True),
    "config": Action(KernelConfig, KernelConfigReply, right="admin", example={"section": "kernel.port"}, looks=True),
    # A script is told the same, so who may run one may ask.
    "settings": Action(Empty, KernelSettingsReply, right="execute", example={}, looks=True),
    "lua_api": Action(Empty, KernelLuaApiReply, right=None, example={}, looks=True),
    "logs": Action(KernelLogs, KernelLogsReply, right="admin", example={"lines": 5}, looks=True),
    "reload_config": Action(Empty, KernelReloadReply, right="admin", example={}, looks=True),
    "storage": Action(Empty, KernelStorageReply, right="admin", example={}, looks=True),
    # Anyone may ask, because it reaches only requests of the same session, others only with `admin`.
    "cancel": Action(KernelCancel, KernelCancelReply, right=None, example={"msg_id": "5c1…_7"}, looks=True),
    "drain": Action(KernelDrain, KernelDrainReply, right="admin", example={"timeout_s": 0}, looks=True),
}
