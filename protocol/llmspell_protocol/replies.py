"""What our own requests are answered with, one class an action: what `schemas/` is made from.

Beside these fields every reply has `status: "ok"`, and every progress, delta and reply `seq`. Nothing imports this at
run time; a kernel builds these contents from the values in `models.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmspell_protocol.models import (
    AvailableModel,
    ChatResult,
    LoadedModel,
    LocalModel,
    ModelInfo,
    PulledFile,
    ToolCall,
    Usage,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendError:
    """A backend that could not answer while others did."""

    backend: str
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelListReply:
    """Installed models; a backend that is down does not hide the others."""

    models: Sequence[LocalModel]
    count: int
    errors: Sequence[BackendError]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPullReply:
    """A finished pull; `resumed_from` is a byte offset."""

    model_id: str
    backend: str
    download_status: Literal["complete", "already_present"]
    bytes_downloaded: int
    bytes_total: int
    percent_complete: float
    sha256: str | None
    resumed_from: int
    path: str | None
    format: str | None
    source: str | None
    message: str
    files: Sequence[PulledFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendHealth:
    """One backend: a daemon is `running` and has an address, our own is `ready` and has engines and a device."""

    configured: bool
    available_models: int
    reason: str | None
    running: bool | None = None
    version: str | None = None
    latency_ms: float | None = None
    base_url: str | None = None
    ready: bool | None = None
    loaded: Sequence[str] = ()
    device: str | None = None
    engines: Sequence[str] = ()
    model_directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatusReply:
    """Health by backend."""

    backends: Mapping[str, BackendHealth]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRemoveReply:
    """A deleted model."""

    model_id: str
    backend: str
    removed: bool
    bytes_freed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAvailableReply:
    """The catalog."""

    models: Sequence[AvailableModel]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInstallOllamaReply:
    """How to install Ollama on the kernel's machine, and whether that was done."""

    platform: str
    instructions: Sequence[str]
    installed: bool
    version: str | None
    executed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadedModel:
    """A model that is no longer in memory."""

    model: str
    backend: str
    bytes_freed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnloadReply:
    """What was unloaded."""

    unloaded: Sequence[UnloadedModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPsReply:
    """The models in memory, what the in-house ones may hold and hold together, and what the machine can still give."""

    models: Sequence[LoadedModel]
    budget_bytes: int
    used_bytes: int
    available_bytes: int
    errors: Sequence[BackendError]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """One file and its sums (sha256)."""

    name: str
    ok: bool
    expected: str | None
    actual: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedModel:
    """One model and its files."""

    model: str
    ok: bool
    files: Sequence[VerifiedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerifyReply:
    """Files compared with their manifests."""

    models: Sequence[VerifiedModel]
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEmbedReply:
    """The vectors are the reply's one buffer: `shape` of float32, little-endian, row by row."""

    model: str
    backend: str
    count: int
    dimensions: int
    shape: Sequence[int]
    dtype: Literal["float32"]
    normalized: bool
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTokenizeReply:
    """The model's own token ids."""

    tokens: Sequence[int]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSummary:
    """One agent; `turns` counts what it was asked, `messages` what it remembers."""

    id: str
    name: str | None
    type: str
    model: str | None
    provider: str | None
    description: str | None
    turns: int
    messages: int
    busy: bool
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDetails(AgentSummary):
    """One agent with its settings and its conversation."""

    system_prompt: str | None
    options: Mapping[str, Any]
    schema: Mapping[str, Any] | None
    max_conversation_length: int
    max_execution_time_s: float
    history: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentReply:
    """The agent that was made or deleted."""

    agent: AgentSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExecuteReply(ChatResult):
    """One turn's answer; `text` is the message's."""

    agent: AgentSummary
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentListReply:
    """The caller's agents."""

    agents: Sequence[AgentSummary]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentInfoReply:
    """Everything about one agent."""

    agent: AgentDetails


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentResetReply:
    """The agent, and how many messages it forgot."""

    agent: AgentSummary
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelMetricsReply:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelStatusReply:
    """Id, state, places and figures.

    `Busy`: requests run. `Healthy`: none runs, and a client besides the one who asks is connected. `Idle`: nobody else
    is, so that the idle timeout counts. `Shutting Down`: it drains and takes no more work.
    """

    id: str
    pid: int
    state: Literal["Healthy", "Busy", "Idle", "Shutting Down"]
    version: str
    profile: str | None
    config_file: str | None
    transport: Literal["tcp", "ipc", "inproc"]
    port: int | None
    ports: Mapping[str, int]
    connection_file: str | None
    pid_file: str | None
    log_file: str | None
    started_at: str
    clients: int
    active_requests: int
    models: Sequence[str]
    metrics: KernelMetricsReply


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRequest:
    """One unfinished request."""

    msg_id: str
    type: str
    action: str | None
    client: str
    kind: Literal["client", "script"]
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelQueueReply:
    """The unfinished requests, oldest first."""

    requests: Sequence[QueuedRequest]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCancelReply:
    """The request that ends now, by id and type; its own reply says `cancelled`."""

    cancelled: str
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDrainReply:
    """The kernel ends when `active` requests have, or when the time is over."""

    draining: bool
    timeout_s: float
    active: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelReloadReply:
    """Settings that changed, by key: in force now, for models that are loaded from now on, or after a restart."""

    applied: Sequence[str]
    at_next_load: Sequence[str]
    restart_needed: Sequence[str]
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelConfigReply:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLogsReply:
    """The last lines of the log."""

    lines: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PullStep:
    """Progress of a pull: phase, bytes of all files, percent; once, before the first byte, the files that will come."""

    phase: Literal["resolving", "downloading", "verifying", "complete"]
    file: str | None
    bytes_downloaded: int
    bytes_total: int | None
    percent_complete: float
    bytes_per_second: float | None
    eta_s: float | None
    files: Sequence[PulledFile] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadingStep:
    """The model is not in memory yet: its load begins, or goes on."""

    phase: Literal["loading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillStep:
    """How much of the prompt has been read, in tokens."""

    phase: Literal["prefill"]
    processed: int
    total: int
    eta_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDelta:
    """A piece of an answer: at least one of the three."""

    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteDelta:
    """Printed text of a script, for the one who asked (`isolated` or `deltas` in `metadata.llmspell`)."""

    stream: Literal["stdout", "stderr"]
    text: str


REPLIES: Mapping[tuple[str, str], type] = {
    ("model", "list"): ModelListReply,
    ("model", "pull"): ModelPullReply,
    ("model", "status"): ModelStatusReply,
    ("model", "info"): ModelInfo,
    ("model", "remove"): ModelRemoveReply,
    ("model", "available"): ModelAvailableReply,
    ("model", "install_ollama"): ModelInstallOllamaReply,
    ("model", "load"): LoadedModel,
    ("model", "unload"): ModelUnloadReply,
    ("model", "ps"): ModelPsReply,
    ("model", "verify"): ModelVerifyReply,
    ("model", "chat"): ChatResult,
    ("model", "generate"): ChatResult,
    ("model", "embed"): ModelEmbedReply,
    ("model", "tokenize"): ModelTokenizeReply,
    ("agent", "create"): AgentReply,
    ("agent", "execute"): AgentExecuteReply,
    ("agent", "list"): AgentListReply,
    ("agent", "info"): AgentInfoReply,
    ("agent", "reset"): AgentResetReply,
    ("agent", "delete"): AgentReply,
    ("kernel", "status"): KernelStatusReply,
    ("kernel", "metrics"): KernelMetricsReply,
    ("kernel", "queue"): KernelQueueReply,
    ("kernel", "cancel"): KernelCancelReply,
    ("kernel", "drain"): KernelDrainReply,
    ("kernel", "reload_config"): KernelReloadReply,
    ("kernel", "config"): KernelConfigReply,
    ("kernel", "logs"): KernelLogsReply,
}
"""(area, action) → the class of its reply."""

STREAMED: Mapping[str, tuple[type, ...]] = {
    "model_progress": (PullStep, LoadingStep, PrefillStep),
    "model_delta": (ChatDelta,),
    "agent_progress": (LoadingStep, PrefillStep),
    "agent_delta": (ChatDelta,),
    "execute_delta": (ExecuteDelta,),
}
"""Message type → what may come before the reply."""
