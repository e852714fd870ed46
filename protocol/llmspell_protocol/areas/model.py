"""`model_request`: the models of all backends, on disk and in memory, and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmspell_protocol.areas.action import Action, Empty
from llmspell_protocol.areas.found_models import (
    ModelImport,
    ModelImportable,
    ModelImportableReply,
    ModelSearch,
    ModelSearchReply,
)
from llmspell_protocol.areas.model_texts import (
    ModelEmbed,
    ModelEmbedReply,
    ModelRerank,
    ModelRerankReply,
    ModelTokenize,
    ModelTokenizeReply,
)
from llmspell_protocol.areas.stream import ChatDelta, LoadingStep, PrefillStep
from llmspell_protocol.models import (
    AvailableModel,
    ChatRequest,
    ChatResult,
    LoadedModel,
    LocalModel,
    ModelInfo,
    Speculation,
    between,
)
from llmspell_protocol.numbers import INT32_HIGH
from llmspell_protocol.pulls import Phase, PulledFile, PullResult
from llmspell_protocol.structs import Struct


class BackendError(Struct):
    """A backend that could not answer while others did."""

    backend: str
    """a backend that could not be asked"""
    code: str
    message: str


class OfBackend(Struct):
    """A question about one backend, or about all (`backend` absent or `all`)."""

    backend: str | None = None


class DamagedModel(Struct):
    """A model on the disk that can't be used; whatever is wrong with it, the others can."""

    id: str
    backend: str
    path: str
    """its directory"""
    reason: str


class ModelListReply(Struct):
    """Installed models; neither a backend that is down nor a model that is damaged hides the others."""

    models: Sequence[LocalModel]
    count: int
    """models"""
    errors: Sequence[BackendError]
    damaged: Sequence[DamagedModel] = ()


class ModelPull(Struct):
    """Download a model."""

    model: str
    force: bool = False
    quantization: str | None = None


class PullStep(Struct):
    """How far a pull is, in bytes of all files; `files` once, before the first byte: what will come."""

    phase: Phase
    file: str | None
    bytes_downloaded: int
    bytes_total: int | None
    percent_complete: float
    bytes_per_second: float | None
    eta_s: float | None
    files: Sequence[PulledFile] = ()
    reason: str | None = None


class ModelPullReply(PullResult):
    """A finished pull."""

    percent_complete: float
    """100.0"""
    message: str


class DaemonHealth(Struct):
    """A backend that is a program of its own, behind an address."""

    configured: bool
    running: bool
    """(ollama) it answers"""
    available_models: int
    reason: str | None
    """why it can't be used"""
    version: str | None
    """(ollama)"""
    latency_ms: float | None
    """(ollama)"""
    base_url: str | None
    """(ollama)"""


class EngineHealth(Struct):
    """A backend of this kernel."""

    configured: bool
    ready: bool
    """(candle) a model could be loaded"""
    available_models: int
    reason: str | None
    """why it can't be used"""
    loaded: Sequence[str]
    """(candle) loaded models"""
    device: str | None
    """(candle)"""
    engines: Sequence[str]
    """(candle)"""
    model_directory: str | None
    """(candle)"""


class ModelStatusReply(Struct):
    """Health by backend."""

    backends: Mapping[str, DaemonHealth | EngineHealth]


class ModelNamed(Struct):
    """The model to tell about; empty: the default one."""

    model: str


class ModelRemove(Struct):
    """Delete a model; `force` also while it is in use."""

    model: str
    force: bool = False


class ModelRemoveReply(Struct):
    """A deleted model."""

    model_id: str
    backend: str
    removed: bool
    """true"""
    bytes_freed: int


class ModelAvailable(Struct):
    """The catalog, or what it recommends, or what this machine's memory is enough for."""

    backend: str | None = None
    recommended: bool = False
    fits: bool = False


class ModelAvailableReply(Struct):
    """The catalog."""

    models: Sequence[AvailableModel]
    count: int
    budget_bytes: int
    """what loaded models may hold together on the kernel's machine, now"""


class ModelInstallOllama(Struct):
    """How to install Ollama on the kernel's machine; `execute` does it."""

    execute: bool = False


class ModelInstallOllamaReply(Struct):
    """How Ollama is installed on the kernel's machine, whether it is there, and whether this request did it."""

    platform: str
    """`linux`, `macos`"""
    instructions: Sequence[str]
    """what is run, or what to do"""
    installed: bool
    version: str | None
    executed: bool
    """whether something was run"""


class ModelLoad(Struct):
    """Load a model; `keep_alive` as in the settings: seconds or a text such as `5m`, 0 and -1 as in Ollama.

    `device` is `auto`, `cpu`, `cuda`, `cuda:N` or `metal`; absent: where it is, or where the settings say.
    `speculation` is `auto`, `off` or `ngram`; absent: as it does, or as the settings say. `num_ctx` is the context in
    tokens; absent: as it is, or as the settings say. An idle model is loaded anew where it runs otherwise.
    """

    model: str
    keep_alive: float | str | None = None
    pin: bool = False
    device: str | None = None
    speculation: Speculation | None = None
    num_ctx: int | None = between(1, INT32_HIGH)


class ModelUnload(Struct):
    """Unload one model, or all (`model` absent)."""

    model: str | None = None
    force: bool = False


class UnloadedModel(Struct):
    """A model that is no longer in memory; `bytes_freed` is 0 when it was not."""

    model: str
    backend: str
    bytes_freed: int


class ModelUnloadReply(Struct):
    """What was unloaded."""

    unloaded: Sequence[UnloadedModel]


class ModelPsReply(Struct):
    """The models in memory, what the in-house ones may hold and hold together, and what the machine can still give."""

    models: Sequence[LoadedModel]
    budget_bytes: int
    """what loaded models may hold together"""
    used_bytes: int
    available_bytes: int
    """what the machine, or its container, can still give"""
    errors: Sequence[BackendError]


class ModelVerify(Struct):
    """Compare files with their manifests: one model, or all (`model` absent)."""

    model: str | None = None


class VerifiedFile(Struct):
    """One file and its sums (sha256)."""

    name: str
    ok: bool
    expected: str
    """sha256"""
    actual: str | None
    """null: the file is missing, or can't be read"""
    reason: str | None = None
    """why there is no sum"""


class VerifiedModel(Struct):
    """One model and its files."""

    model: str
    ok: bool
    files: Sequence[VerifiedFile]
    reason: str | None = None
    """why there are no files to compare"""


class ModelVerifyReply(Struct):
    """Files compared with their manifests."""

    ok: bool
    """every file of every model"""
    models: Sequence[VerifiedModel]


class ConfiguredProvider(Struct):
    """A provider of the settings, or a vendor that there is a key for."""

    name: str
    type: str
    enabled: bool
    available: bool
    """It is enabled and has the key that it needs; whether its server answers is not asked"""
    reason: str | None
    """why it is not available"""
    default_model: str | None
    streaming: bool
    images: bool
    """it takes pictures"""
    embeddings: bool
    """it can make vectors of texts"""
    context_tokens: int | None
    """the longest context that the settings allow; null: the model's own"""
    models: Sequence[str] | None
    """what is installed; null: its server would have to be asked"""


class ModelProvidersReply(Struct):
    """The providers by name. No server is asked."""

    providers: Sequence[ConfiguredProvider]


_MOCK = {"model": "mock/a"}
_SAID = [{"role": "user", "content": "hello you"}]
_STREAM = (LoadingStep, PrefillStep)

ACTIONS: Mapping[str, Action] = {
    "list": Action(OfBackend, ModelListReply, right="infer", example={}),
    "pull": Action(ModelPull, ModelPullReply, right="pull", example=_MOCK, progress=(PullStep,)),
    "importable": Action(ModelImportable, ModelImportableReply, right="pull", example={"paths": ["/nowhere"]}),
    "import_model": Action(
        ModelImport, ModelPullReply, right="pull", example={"path": "/nowhere/x.gguf"}, progress=(PullStep,)
    ),
    "search": Action(ModelSearch, ModelSearchReply, right="pull", example={"words": "qwen3", "limit": 3}),
    "status": Action(OfBackend, ModelStatusReply, right="infer", example={}, looks=True),
    "providers": Action(Empty, ModelProvidersReply, right="infer", example={}),
    "info": Action(ModelNamed, ModelInfo, right="infer", example=_MOCK),
    "available": Action(ModelAvailable, ModelAvailableReply, right="infer", example={"recommended": True}),
    "install_ollama": Action(ModelInstallOllama, ModelInstallOllamaReply, right="admin", example={}),
    "load": Action(ModelLoad, LoadedModel, right="load", example=_MOCK, progress=(LoadingStep,)),
    "ps": Action(Empty, ModelPsReply, right="infer", example={}, looks=True),
    "chat": Action(
        ChatRequest,
        ChatResult,
        right="infer",
        example={**_MOCK, "messages": _SAID, "options": {"max_tokens": 20}},
        progress=_STREAM,
        delta=ChatDelta,
    ),
    "generate": Action(
        ChatRequest,
        ChatResult,
        right="infer",
        example={**_MOCK, "prompt": "hello"},
        progress=_STREAM,
        delta=ChatDelta,
    ),
    "embed": Action(ModelEmbed, ModelEmbedReply, right="infer", example={**_MOCK, "input": ["one", "two"]}),
    "rerank": Action(
        ModelRerank, ModelRerankReply, right="infer", example={**_MOCK, "query": "one", "texts": ["one", "two"]}
    ),
    "tokenize": Action(ModelTokenize, ModelTokenizeReply, right="infer", example={**_MOCK, "text": "one two"}),
    "unload": Action(ModelUnload, ModelUnloadReply, right="load", example=_MOCK),
    "verify": Action(ModelVerify, ModelVerifyReply, right="pull", example={}),
    "remove": Action(ModelRemove, ModelRemoveReply, right="admin", example={"model": "smollm2:135m@candle"}),
}
