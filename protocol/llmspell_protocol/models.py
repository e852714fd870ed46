"""What requests and replies say about models: the types that backends, kernel and clients share.

All sizes are bytes, all times milliseconds unless the name says otherwise. Wire content is `content.to_content(value)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal

from llmspell_protocol.numbers import INT32_HIGH
from llmspell_protocol.seeds import LARGEST_SEED
from llmspell_protocol.structs import Struct

FinishReason = Literal["stop", "length", "context_full", "tool_calls"]
Format = Literal["gguf", "safetensors"]
Speculation = Literal["auto", "off", "ngram"]
"""How a model of our own is to draft; auto: where it can."""
ToolPhase = Literal["started", "ended"]


class LocalModel(Struct):
    """A model that a backend has on disk; `modified_at` is UTC, ISO 8601."""

    id: str
    """can be given to every other model command"""
    backend: str
    """`candle`, `ollama`, …"""
    size_bytes: int
    format: str
    """`gguf`, `safetensors`"""
    quantization: str | None = None
    parameter_count: int | None = None
    family: str | None = None
    modified_at: str | None = None
    sha256: str | None = None
    loaded: bool = False


class ModelInfo(LocalModel):
    """Everything known about a model; `context_length` is what it was trained for, in tokens.

    `capabilities` are the model's own; `supports` says of every operation, feature and option whether its backend has
    it for this model.
    """

    context_length: int | None = None
    """tokens"""
    architecture: str | None = None
    embedding_length: int | None = None
    """dimensions of its vectors"""
    embed_tokens: int | None = None
    """the longest text that it embeds or scores at once, in tokens, with those that the model adds; null: not known"""
    prefix_query: str = ""
    """what stands before a question that is embedded to find passages; empty: nothing, or not known"""
    prefix_passage: str = ""
    """what stands before a passage that is embedded to be found"""
    license: str | None = None
    chat_template: bool = False
    """whether the file brings one"""
    capabilities: Sequence[str] = ()
    """of the model itself: `chat`, `embed`, …"""
    path: str | None = None
    source: str | None = None
    owner: str | None = None
    """who keeps its files, where they are used as they are"""
    """where it was pulled from"""
    supports: Mapping[str, bool] = field(default_factory=dict)
    """every operation, feature and option: whether its backend has it for this model"""


class Usage(Struct):
    """Tokens of one request; `cached_tokens` of the prompt needed no prefill."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """of these, not computed again"""
    completion_tokens: int = 0


class Timings(Struct):
    """Where a request's time went; `first_token_ms` counts from when the checked request looks for its model.

    Where the engine speculates, `draft_tokens` were proposed to the model and it took `accepted_tokens` of them.
    """

    queue_ms: float = 0.0
    load_ms: float = 0.0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    first_token_ms: float | None = None
    tokens_per_second: float | None = None
    draft_tokens: int | None = None
    """proposed to the model; null without speculation"""
    accepted_tokens: int | None = None
    """of these, taken by the model"""


class ToolCall(Struct):
    """A call that the model asks for; `arguments` is the parsed JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


class CalledTool(Struct):
    """A call that a model asked for, and what came of it; `error` and `code` say why it failed."""

    name: str
    arguments: Mapping[str, Any]
    success: bool
    result: Any = None
    """what it gave, in the tool's shape"""
    error: str | None = None
    code: str | None = None
    """the error's, as error replies have it"""
    duration_ms: float = 0.0


class ToolEvent(Struct):
    """A tool that a model called is at work now, or has ended; the other fields are there when it has."""

    phase: ToolPhase
    id: str
    """the call's, in this turn"""
    name: str
    arguments: Mapping[str, Any]
    success: bool | None = None
    result: Any = None
    error: str | None = None
    duration_ms: float | None = None


class ChatMessage(Struct):
    """One turn of a conversation; `images` are whole files (JPEG, PNG, WebP), in JSON messages as base64."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    reasoning: str | None = None
    """what a thinking model thought"""
    tool_calls: Sequence[ToolCall] = ()
    tool_call_id: str | None = None
    name: str | None = None
    images: Sequence[bytes] = ()


def between(low: float, high: float) -> Any:
    """A number of this range, both ends included, or None."""
    return field(default=None, metadata={"range": (low, high)})


class SamplingOptions(Struct):
    """How tokens are chosen; None means the backend's or the provider table's default.

    `temperature` 0 is greedy; `top_k` 0 is off; `repeat_penalty` 1 is off; `repeat_last_n` -1 is the whole context;
    `num_ctx` is the context that is wanted, in tokens, at least; `num_beams` is how many continuations a beam search
    keeps, 1 is none.
    A number's `range`, both ends included, is in its field's metadata.
    """

    temperature: float | None = between(0, 2)
    top_p: float | None = between(0, 1)
    top_k: int | None = between(0, INT32_HIGH)
    min_p: float | None = between(0, 1)
    repeat_penalty: float | None = between(0.01, 100)
    repeat_last_n: int | None = between(-1, INT32_HIGH)
    seed: int | None = between(0, LARGEST_SEED)
    max_tokens: int | None = between(1, INT32_HIGH)
    stop: Sequence[str] | None = None
    num_ctx: int | None = between(1, INT32_HIGH)
    num_beams: int | None = between(1, 64)


SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repeat_penalty", "repeat_last_n", "seed", "max_tokens", "stop")
"""The options that a provider's table has defaults for: all but `num_ctx`, which is fixed when a model is loaded, and
`num_beams`, which one engine alone has."""


class ChatRequest(Struct):
    """A conversation to be continued, or (`prompt`) one text to be answered or, `raw`, continued as it is.

    Exactly one of `messages` and `prompt` is given. `tools` are OpenAI-style function descriptions; `schema` is a JSON
    Schema that the reply has to fit. `truncate` allows a backend that can to leave out what does not fit the context;
    without it such a prompt is an error everywhere. `device` is where a model of our own has to run (`auto`, `cpu`,
    `cuda`, `cuda:N` or `metal`); None: where it is, or where the settings say. `speculation` is how it has to draft
    (`auto`, `off` or `ngram`); None: as it does, or as the settings say. `think` has a model that can think aloud do so
    or not; None: as it does by itself.
    """

    model: str
    messages: Sequence[ChatMessage] = ()
    prompt: str | None = None
    raw: bool = False
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: str | None = None
    schema: Mapping[str, Any] | None = None
    options: SamplingOptions = field(default_factory=SamplingOptions)
    stream: bool = True
    truncate: bool = False
    device: str | None = None
    speculation: Speculation | None = None
    think: bool | None = None


class PrefillProgress(Struct):
    """How much of the prompt has been read, in tokens."""

    processed: int
    total: int
    eta_s: float | None = None


class ChatResult(Struct):
    """The end of a reply: the whole message and what it cost.

    `truncated` says that the reply would have gone on (`finish_reason` "length" or "context_full"); `context_size` is
    the model's context in tokens, where it is known. `evicted` are the models that a backend unloaded to make room for
    this one, where it can be seen.
    """

    message: ChatMessage
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    model: str
    backend: str
    truncated: bool = False
    """the reply was cut: by max_tokens (`length`) or by the context's end (`context_full`)"""
    context_size: int | None = None
    """tokens that prompt and reply share, where it is known"""
    evicted: Sequence[str] = ()
    """models that Ollama unloaded to make room"""


class ChatChunk(Struct):
    """A piece of a reply: text, reasoning or tool calls; or progress (loading, prefill); or, last, the result.

    `notice` says why a model that is there is loaded anew. `tool` is a call that an agent makes for its model.
    """

    loading: bool = False
    notice: str | None = None
    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()
    tool: ToolEvent | None = None
    prefill: PrefillProgress | None = None
    result: ChatResult | None = None


class Embeddings(Struct):
    """Vectors of `count × dimensions` float32, little-endian, row by row in `data`.

    `warnings` are what a person should know about the model that was chosen where none was named.
    """

    data: bytes
    count: int
    dimensions: int
    usage: Usage
    model: str
    backend: str
    warnings: Sequence[str] = ()


class LoadOptions(Struct):
    """How a model is to be loaded; `keep_alive_s` 0 unloads at once, -1 never, None is the configured time.

    `device` and `speculation` are as in `ChatRequest`, `num_ctx` is the context in tokens.
    """

    keep_alive_s: float | None = None
    pin: bool = False
    device: str | None = None
    speculation: Speculation | None = None
    num_ctx: int | None = None


class LoadedModel(Struct):
    """One line of `model ps`; `reason` says in words why the model stays and when it goes.

    `warnings` are what a person should know about how it was loaded. `speculation` is "off" or "ngram" where llmspell
    loaded it; with "ngram" `draft_tokens` and `accepted_tokens` are the sums of all replies since.
    """

    model: str
    backend: str
    engine: str
    pid: int | None
    """the model's process"""
    device: str
    memory_bytes: int | None
    """measured"""
    estimated_bytes: int | None
    """expected before the load"""
    slots: int
    """requests at a time"""
    busy_slots: int
    queue: int
    """requests that wait"""
    last_used: str | None
    expires_at: str | None
    """when it goes if it is not used"""
    pinned: bool
    load_ms: float | None = None
    reason: str = ""
    """why it stays, in words"""
    warnings: Sequence[str] = ()
    """what should be known about how it was loaded"""
    context_size: int | None = None
    """tokens of one request and its reply"""
    context_reason: str | None = None
    """why so many, in words, where llmspell loaded it"""
    speculation: str | None = None
    """`ngram` or `off`, where llmspell loaded it"""
    draft_tokens: int | None = None
    """proposed to the model since it was loaded; null without speculation"""
    accepted_tokens: int | None = None
    """of these, taken by the model"""
    notebooks: Sequence[str] = ()
    """open notebooks of this kernel that have used it"""


class HealthStatus(Struct):
    """Whether a backend can be used, as `model status` shows it; `ready` is `running` for a daemon."""

    configured: bool
    ready: bool
    available_models: int = 0
    version: str | None = None
    latency_ms: float | None = None
    base_url: str | None = None
    reason: str | None = None
    loaded: Sequence[str] = ()
    device: str | None = None
    engines: Sequence[str] = ()
    model_directory: str | None = None


class AvailableModel(Struct):
    """A line of the catalog."""

    name: str
    backend: str
    description: str
    parameters: str | None
    """`135M`, `8B`"""
    quantizations: Sequence[str]
    size_bytes: int | None
    license: str | None
    recommended: bool
    """it is good, and fits this machine where that is known"""
    installed: bool
    size_estimated: bool = False
    """`size_bytes` is about right, not to the byte"""
    default_quantization: str | None = None
    """what a pull takes, and `size_bytes` and `memory_bytes` are of"""
    capabilities: Sequence[str] = ()
    """the model's own: `chat`, `tools`, `thinking`, `vision`, `code`, `embed`, `rerank`, `generate`"""
    context_length: int | None = None
    """trained for, in tokens"""
    memory_bytes: int | None = None
    """about what it takes when it is loaded with one slot, a conversation of 4,096 tokens"""
    fits: bool | None = None
    """whether that is within this machine's budget; null: not known"""
    sources: Sequence[str] = ()
    """where a pull looks, in this order"""
