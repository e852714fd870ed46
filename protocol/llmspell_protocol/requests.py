"""The contents of our own requests, one class an action; the rights they need are in `actions.py`.

The kernel validates incoming content against these classes at its edge; a client sends plain maps. Progress, delta and
reply contents are described in `protocol/README.md`; the values in them are in `models.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from llmspell_protocol.models import ChatRequest, SamplingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """Installed models of one backend or all."""

    backend: str | None = None
    verbose: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPull:
    """Download a model."""

    model: str
    force: bool = False
    quantization: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """Health of one backend or all."""

    backend: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNamed:
    """A request about one model: info, tokenize's relatives, verify."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRemove:
    """Delete a model; `force` also while it is in use."""

    model: str
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAvailable:
    """The catalog."""

    backend: str | None = None
    recommended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInstallOllama:
    """How to install Ollama on the kernel's machine; `execute` does it."""

    execute: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLoad:
    """Load a model; `keep_alive` as in the settings: seconds or a text such as `5m`, 0 and -1 as in Ollama.

    `device` is `auto`, `cpu`, `cuda`, `cuda:N` or `metal`; absent: where it is, or where the settings say.
    """

    model: str
    keep_alive: float | str | None = None
    pin: bool = False
    device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnload:
    """Unload one model, or all (`model` absent)."""

    model: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVerify:
    """Compare files with their manifests: one model, or all (`model` absent)."""

    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Empty:
    """An action without fields of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEmbed:
    """One vector a text; `model` absent: the configured embedding model."""

    input: Sequence[str]
    model: str | None = None
    normalize: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTokenize:
    """The model's own token ids of a text."""

    model: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCreate:
    """An agent: a model, a system prompt and a conversation that the kernel remembers.

    `max_conversation_length` is counted in messages; the oldest go first and the system prompt stays. `model` absent:
    the default model of `provider` or, without one, of the default provider. `max_execution_time_s` is the longest that
    one turn may take. `device` is where its model has to run, as in `ModelLoad`. An agent of `type` `basic` needs no
    model: it answers with its input.
    """

    name: str | None = None
    type: Literal["llm", "basic"] = "llm"
    model: str | None = None
    provider: str | None = None
    description: str | None = None
    system_prompt: str | None = None
    options: SamplingOptions = SamplingOptions()
    schema: Mapping[str, Any] | None = None
    device: str | None = None
    max_conversation_length: int = 100
    max_execution_time_s: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentExecute:
    """One turn.

    `parameters` and `context` are put below the input as a readable block; `options` go before the agent's own, one
    by one; `remember` false leaves the conversation as it was.
    """

    agent: str
    input: str
    parameters: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    options: SamplingOptions = SamplingOptions()
    stream: bool = True
    remember: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentNamed:
    """A request about one agent, by id or by name: info, reset, delete."""

    agent: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelCancel:
    """Cancel the unfinished request with this id."""

    msg_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelDrain:
    """Stop accepting work, let what runs finish within the timeout (the configured one if absent), then end."""

    timeout_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelConfig:
    """The configuration in force, or the part of it that a dotted path names."""

    section: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelLogs:
    """The last lines of the kernel's log."""

    lines: int = 50


CONTENTS: dict[tuple[str, str], type] = {
    ("model", "list"): ModelList,
    ("model", "pull"): ModelPull,
    ("model", "status"): ModelStatus,
    ("model", "info"): ModelNamed,
    ("model", "remove"): ModelRemove,
    ("model", "available"): ModelAvailable,
    ("model", "install_ollama"): ModelInstallOllama,
    ("model", "load"): ModelLoad,
    ("model", "unload"): ModelUnload,
    ("model", "ps"): Empty,
    ("model", "verify"): ModelVerify,
    ("model", "chat"): ChatRequest,
    ("model", "generate"): ChatRequest,
    ("model", "embed"): ModelEmbed,
    ("model", "tokenize"): ModelTokenize,
    ("agent", "create"): AgentCreate,
    ("agent", "execute"): AgentExecute,
    ("agent", "list"): Empty,
    ("agent", "info"): AgentNamed,
    ("agent", "reset"): AgentNamed,
    ("agent", "delete"): AgentNamed,
    ("kernel", "status"): Empty,
    ("kernel", "metrics"): Empty,
    ("kernel", "queue"): Empty,
    ("kernel", "cancel"): KernelCancel,
    ("kernel", "drain"): KernelDrain,
    ("kernel", "reload_config"): Empty,
    ("kernel", "config"): KernelConfig,
    ("kernel", "logs"): KernelLogs,
}
"""(area, action) → the class of its content, for every action in `actions.ACTIONS`."""
