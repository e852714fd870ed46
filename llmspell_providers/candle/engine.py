"""The engine contract inside a model worker: what is to be loaded, what a loaded engine does, what it gives back.

Knows neither frames nor threads: an engine gets plain request content and a `Reply` to write to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, Unsupported
from llmspell_protocol.models import FinishReason, Format, ToolCall
from llmspell_protocol.scores import TokenCounts
from llmspell_protocol.structs import Struct
from llmspell_providers.candle.speculation import Drafts, Speculation, Wanted, drafts

RANK = "rank"
"""The pooling of models that score texts for a question."""

Ability = str
"""A word of `ABILITIES`."""

ABILITIES: Mapping[Ability, str] = {
    "parallel": "answers several requests at the same time",
    "prefix_cache": "keeps the prompt of a conversation between its turns",
    "prompt_cache": "keeps prompts of finished requests in memory beyond its slots",
    "tools": "calls tools where the model's chat template has them",
    "reasoning": "tells what the model thinks aloud from its answer",
    "schema": "holds a reply to a JSON Schema",
    "integer_bounds": "holds a reply to minimum and maximum in a JSON Schema",
    "speculation": "proposes several tokens at once from the conversation so far",
}
"""What an engine may lack; everything else every engine does."""


SHORTEST_LOAD_DEADLINE_S = 900.0
"""Graphics cards that a build was not made for compile its code first, which takes minutes."""


class Launch(Struct):
    """One model to be loaded by one engine in one worker process.

    `path` is the GGUF file, or the first file of safetensors weights, whose directory holds the rest.
    `context_size` is in tokens a slot; `threads` 0 means the physical cores; `batch_size` is the most prompt tokens
    read in one step; `spin_count` is how long engine threads spin at a barrier; `speculation` "auto" means where the
    engine has it; `prompt_cache_bytes` is memory for prompts of finished requests, `checkpoints` how many earlier
    places of its conversation a slot keeps where windows or states forget them; `stream_window_ms` None means 0
    while cores are spare and 50 where the engine uses them all; `server_path` is the binary of an engine that is one,
    None: none was found; `load_deadline_s` is when a load is taken for one that never ends; `memory_bytes` is the
    private memory that its processes may take each (see `memory_limit`), None: as much as they like.
    """

    engine: str
    path: Path
    model: str
    format: Format = "gguf"
    device: str = "auto"
    slots: int = 4
    context_size: int = 4096
    batch_size: int = 256
    threads: int = 0
    spin_count: int = 1000
    speculation: Wanted = "auto"
    prompt_cache_bytes: int = 0
    checkpoints: int = 0
    flash_attention: bool = True
    stream_window_ms: int | None = None
    server_path: Path | None = None
    log_path: Path | None = None
    load_deadline_s: float = SHORTEST_LOAD_DEADLINE_S
    memory_bytes: int | None = None


class LoadedState(Struct):
    """What came of a launch; `tools` says whether the chat template has tools, `lacks` names missing abilities.

    `engine_pids` are processes that the engine runs beside the worker. `memory` is `ContextMemory` as the worker read
    it from a GGUF file.
    """

    engine: str
    engine_version: str
    device: str
    slots: int
    context_size: int
    threads: int
    stream_window_ms: int
    memory_bytes: int
    load_ms: float
    speculation: Speculation
    chat_template: bool
    tools: bool
    lacks: Sequence[Ability] = ()
    engine_pids: Sequence[int] = ()
    warnings: Sequence[str] = ()
    memory: Mapping[str, int] | None = None


Announce = Callable[[str, Sequence[int]], None]


def _unheard(_device: str, _pids: Sequence[int]) -> None: ...


def _nothing() -> None: ...


class Prepared(Struct):
    """A launch after the worker has looked at the file and the machine: what an engine loads, nothing left to choose.

    `can_chat`, `has_template` and `tools` are what the files say that the model is for; `pooling` is the model's own
    way to make one vector of many, None: mean.
    """

    launch: Launch
    threads: int
    context_size: int
    batch_size: int
    can_chat: bool
    has_template: bool
    tools: bool
    pooling: str | None
    socket_directory: Path
    announce: Announce = _unheard
    """An engine's first word: the device that it has chosen, and then the processes that it runs beside the worker."""
    check_templates: Callable[[], None] = _nothing
    """An engine's last word before it reads the file: raises `ModelLoadFailed` for chat templates that never end."""

    def drafts(self, why_not: str | None = None) -> Drafts | None:
        """How the model is to speculate (see `speculation.drafts`); one that does not chat has nothing to draft."""
        wanted = self.launch.speculation if self.can_chat else "off"
        return drafts(wanted, slots=self.launch.slots, batch_size=self.batch_size, why_not=why_not)


class Outcome(Struct):
    """The end of one generation as the engine saw it; times in milliseconds.

    Of `draft_tokens` that were proposed (None where the engine does not speculate) the model took `accepted_tokens`.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()
    cached_tokens: int = 0
    prefill_ms: float = 0.0
    decode_ms: float = 0.0
    draft_tokens: int | None = None
    accepted_tokens: int | None = None


class Vectors(Struct):
    """Embeddings as `count × dimensions` float32, little-endian, row by row."""

    data: bytes
    count: int
    dimensions: int
    prompt_tokens: int


class Ranking(Struct):
    """A score a text, in their order, as the model gave it."""

    scores: Sequence[float]
    prompt_tokens: int


class EngineCancelled(Exception):
    """The reply was cancelled and the engine has let go of it."""


class Reply(Protocol):
    """Where an engine writes one reply; every method may be called from any thread."""

    @property
    def cancelled(self) -> bool:
        """Whether the reply is not wanted any more; the engine then stops and raises `EngineCancelled`."""

    def text(self, piece: str) -> None:
        """The next piece of the answer."""

    def reasoning(self, piece: str) -> None:
        """The next piece of what the model thinks aloud."""

    def progress(self, processed: int, total: int, elapsed_ms: float) -> None:
        """Tokens of the prompt that have been read, of how many, in what time."""


class Engine(Protocol):
    """A loaded model. `chat`, `embed`, `rerank` and `tokenize` are called on threads of their own, side by side."""

    name: str
    version: str
    device: str
    slots: int
    context_size: int
    tools: bool
    lacks: frozenset[Ability]
    speculation: Speculation
    pids: Sequence[int]
    """Processes that the engine runs beside this one."""

    def chat(self, request: Mapping[str, Any], reply: Reply) -> Outcome:
        """Generates one reply; `request` is the content of a `ChatRequest` whose options are resolved.

        Raises:
            EngineCancelled: `reply.cancelled` became true.
            ContextLengthExceeded: the prompt is longer than a slot.
            InvalidRequest: the engine does not understand the request.
        """

    def embed(self, texts: Sequence[str], reply: Reply, *, normalize: bool) -> Vectors:
        """One vector a text, by mean pooling where the model names none; of `reply` only `cancelled` is of use.

        Raises:
            EngineCancelled: `reply.cancelled` became true, and the engine noticed: it looks when its turn has come, and
                between batches where it makes several.
            ContextLengthExceeded: a text is longer than the engine can read at once.
        """

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without the tokens that mark a beginning or an end."""

    def count_tokens(self, texts: Sequence[str]) -> TokenCounts:
        """How many tokens `tokenize` gives for each text, and how many `embed` adds to one."""

    def rerank(self, query: str, texts: Sequence[str], reply: Reply) -> Ranking:
        """How well each text answers the query; asked of models that score alone.

        Raises:
            EngineCancelled: as `embed`.
            ContextLengthExceeded: query and a text together are longer than the engine can read at once.
            Unsupported: the engine does not score.
        """

    def busy_slots(self) -> int:
        """How many slots the engine itself holds as working at this moment."""

    def trim(self) -> None:
        """Lets go of what is kept for later turns alone; running requests go on."""

    def close(self) -> None:
        """Ends what the engine runs beside this process; nothing is asked of it any more."""


def text_too_long(tokens: int, limit: int) -> ContextLengthExceeded:
    """The error for a text that a model cannot embed: a vector is made of one step, which takes `limit` tokens.

    A model that only embeds has steps as long as its context; one that chats has short ones, for others' streams.
    """
    return ContextLengthExceeded(
        f"a text to be embedded has {tokens} tokens, the engine reads {limit} at once",
        hint="use a model made for embedding, which reads up to its context (llmspell model pull nomic-embed-text); "
        "or split the text, or raise providers.candle.batch_size",
        details={"prompt_tokens": tokens, "limit": limit},
    )


def no_scores(model: str) -> Unsupported:
    """The error for texts to be scored by a model that does something else."""
    return Unsupported(
        f"{model} does not score texts",
        hint="a model that does shows the capability rerank (llmspell model info), such as bge-reranker-v2-m3",
        details={"operation": "rerank"},
    )


def no_vectors(model: str) -> Unsupported:
    """The error for texts to be embedded by a model that scores them."""
    return Unsupported(
        f"{model} scores texts for a question and makes no embeddings",
        hint="a model that makes them shows the capability embed (llmspell model info), such as all-minilm:l6-v2",
        details={"operation": "embed"},
    )


def no_tokens() -> InvalidRequest:
    """The error for a prompt of which nothing is left once it is tokens: an empty one, or a template's whim."""
    return InvalidRequest(
        "the prompt has no tokens: there is nothing to continue",
        hint="say something; if that was done, the model's own chat template makes nothing of it",
    )


def no_chat(model: str, capabilities: Collection[str]) -> Unsupported:
    """The error for a conversation with a model that only makes embeddings, or scores."""
    scores = "rerank" in capabilities
    return Unsupported(
        f"{model} {'scores texts for a question' if scores else 'makes embeddings'} and does not chat",
        hint=f"{'' if scores else 'llmspell embed makes them; '}"
        "a model that chats shows the capability (llmspell model info)",
        details={"operation": "chat"},
    )
