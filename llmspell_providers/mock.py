"""Deterministic models `mock/NAME` that need nothing: for scripts, examples and tests. Always there, never listed.

A reply is `[mock/NAME] ` and the first 200 characters of the last message, or the fixed text that the kernel was
started with (LLMSPELL_MOCK_REPLY), or, where a schema is given, the smallest JSON text that fits it. A word, a number
or a mark counts as one token. Words come as fast as they are taken, or with a pause before each of as many seconds as
the kernel was started with (LLMSPELL_MOCK_PAUSE).

Where tools are offered, a message with lines such as `call calculator {"input": "2 + 3"}` makes it call them, all at
once, and results are answered as any message is.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llmspell_protocol.abilities import OPTIONS
from llmspell_protocol.models import (
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    Embeddings,
    FinishReason,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    SamplingOptions,
    Timings,
    ToolCall,
    Usage,
)
from llmspell_protocol.pulls import PullProgress, PullResult
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.base import FoundModel
from llmspell_providers.capabilities import Capabilities, declare
from llmspell_providers.openai_chat import parse_arguments
from llmspell_providers.spec import ModelSpec
from llmspell_providers.vectors import packed

if TYPE_CHECKING:
    from llmspell_protocol.areas.model import DamagedModel, VerifiedModel
    from llmspell_protocol.areas.model_texts import Purpose

QUOTED_CHARACTERS = 200
DIMENSIONS = 32
CONTEXT_LENGTH = 1 << 20
CAPABILITIES = declare(
    # So that a script that was written for a real model runs: only max_tokens and stop change a reply.
    options=OPTIONS,
    lacks={
        "remove": "it has no files",
        "images": "it only repeats what was said",
        "think": "it does not think",
        "reasoning": "it does not think",
        "cached_tokens": "it keeps nothing",
        "prefill": "it reads nothing",
        "truncate": "its context has no end",
    },
)
_TOKEN = re.compile(r"\w+|[^\w\s]")
_CALL = re.compile(r"^call ([A-Za-z0-9_-]+) *(.*)$", re.MULTILINE)
_PIECE = re.compile(r"\s*\S+\s*$|\s*\S+")


class MockProvider:
    """The backend of `mock/NAME`: every name is a model, always loaded, of no size."""

    name = "mock"

    def __init__(self, reply: str | None = None, pause: float = 0.0) -> None:
        self._reply = reply
        self._pause = pause
        self._loaded: set[str] = set()

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """The same for every name."""
        return CAPABILITIES

    async def demand_configured(self) -> None:
        """Needs nothing to be asked."""

    async def health(self) -> HealthStatus:
        """Always ready."""
        return HealthStatus(configured=True, ready=True, loaded=sorted(self._loaded), device="none", engines=("mock",))

    async def list_models(self) -> list[LocalModel]:
        """Nothing: there is a model for every name, and none is installed."""
        return []

    async def damaged(self) -> list[DamagedModel]:
        """Nothing: its files are not ours."""
        return []

    async def find(self, spec: ModelSpec) -> FoundModel:
        """There is a model for every name."""
        return FoundModel()

    async def resolve(self, spec: ModelSpec) -> FoundModel:
        """There is a model for every name."""
        return FoundModel()

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """The same for every name."""
        return ModelInfo(
            id=_model_id(spec),
            backend=self.name,
            size_bytes=0,
            format="mock",
            loaded=True,
            context_length=CONTEXT_LENGTH,
            embedding_length=DIMENSIONS,
            chat_template=True,
            embed_tokens=CONTEXT_LENGTH,
            capabilities=("chat", "embed", "rerank", "tools"),
        )

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress]:
        """Is already there."""
        result = PullResult(
            model_id=_model_id(spec),
            backend=self.name,
            download_status="already_present",
            bytes_downloaded=0,
            bytes_total=0,
            sha256=None,
            resumed_from=0,
            path=None,
            format="mock",
            source=None,
        )
        yield PullProgress(phase="complete", bytes_total=0, percent_complete=100.0, result=result)

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Raises `Unsupported`."""
        raise CAPABILITIES.refusal("remove", self.name)

    async def verify(self, spec: ModelSpec) -> VerifiedModel:
        """Has no files."""
        # A seldom request; its classes take milliseconds to make.
        from llmspell_protocol.areas.model import VerifiedModel

        return VerifiedModel(model=_model_id(spec), ok=True, files=())

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Puts the name into `loaded`."""
        self._loaded.add(_model_id(spec))
        return _loaded(_model_id(spec))

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Takes the name out of `loaded`; frees nothing."""
        self._loaded.discard(_model_id(spec))
        return 0

    async def loaded(self) -> list[LoadedModel]:
        """The names that were loaded by request."""
        return [_loaded(name) for name in sorted(self._loaded)]

    async def chat(
        self, spec: ModelSpec, request: ChatRequest, *, client: str, found: FoundModel | None = None
    ) -> AsyncGenerator[ChatChunk]:
        """Streams the reply word by word, cut at a stop string and at `max_tokens`."""
        model = _model_id(spec)
        calls = _tool_calls(request)
        text = "" if calls else self._text(model, request)
        pieces, finish_reason = _cut(text, request.options)
        for piece in pieces:
            # A real engine lets others run between two tokens.
            await asyncio.sleep(self._pause)
            yield ChatChunk(text=piece)
        if calls:
            finish_reason = "tool_calls"
            yield ChatChunk(tool_calls=calls)
        said = "".join(pieces)
        yield ChatChunk(
            result=ChatResult(
                message=ChatMessage(role="assistant", content=said, tool_calls=calls),
                finish_reason=finish_reason,
                usage=Usage(prompt_tokens=len(_tokens(_prompt(request))), completion_tokens=len(_tokens(said))),
                timings=Timings(),
                model=model,
                backend=self.name,
            )
        )

    async def embed(
        self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str, found: FoundModel | None = None
    ) -> Embeddings:
        """A vector from each text's words: equal texts are equal, texts that share words are near."""
        vectors = [_vector(text, normalize=normalize) for text in texts]
        return Embeddings(
            data=packed(vectors),
            count=len(vectors),
            dimensions=DIMENSIONS,
            usage=Usage(prompt_tokens=sum(len(_tokens(text)) for text in texts)),
            model=_model_id(spec),
            backend=self.name,
        )

    async def prefix(self, spec: ModelSpec, purpose: Purpose, *, found: FoundModel | None = None) -> str:
        """Nothing."""
        return ""

    async def tokenize(self, spec: ModelSpec, text: str, *, found: FoundModel | None = None) -> list[int]:
        """One number a word."""
        return [_number(token) % 50_000 for token in _tokens(text)]

    async def count_tokens(
        self, spec: ModelSpec, texts: Sequence[str], *, found: FoundModel | None = None
    ) -> TokenCounts:
        """One a word; it adds none."""
        return TokenCounts(counts=[len(_tokens(text)) for text in texts], added=0)

    async def rerank(
        self, spec: ModelSpec, query: str, texts: Sequence[str], *, client: str, found: FoundModel | None = None
    ) -> Scores:
        """The share of the query's words that a text has."""
        asked = {token.lower() for token in _tokens(query)}
        had = [{token.lower() for token in _tokens(text)} for text in texts]
        return Scores(
            scores=[len(asked & words) / max(1, len(asked)) for words in had],
            usage=Usage(prompt_tokens=sum(len(_tokens(query)) + len(_tokens(text)) for text in texts)),
            model=_model_id(spec),
            backend=self.name,
        )

    async def close(self) -> None:
        """Has nothing running."""

    def _text(self, model: str, request: ChatRequest) -> str:
        if self._reply is not None:
            return self._reply
        if request.schema is not None:
            try:
                return json.dumps(_smallest(request.schema), ensure_ascii=False)
            except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
                # The schema is wrong; holding the reply against it says where.
                return "null"
        said = request.prompt if request.prompt is not None else request.messages[-1].content
        return f"[{model}] {said[:QUOTED_CHARACTERS]}"


def _model_id(spec: ModelSpec) -> str:
    return f"mock/{spec.name.removeprefix('mock/')}"


def _loaded(name: str) -> LoadedModel:
    return LoadedModel(
        model=name,
        backend="mock",
        engine="mock",
        pid=None,
        device="none",
        memory_bytes=0,
        estimated_bytes=0,
        slots=1,
        busy_slots=0,
        queue=0,
        last_used=None,
        expires_at=None,
        pinned=False,
        load_ms=0.0,
        reason="needs no memory",
    )


def _prompt(request: ChatRequest) -> str:
    return request.prompt if request.prompt is not None else "\n".join(one.content for one in request.messages)


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def _cut(text: str, options: SamplingOptions) -> tuple[list[str], FinishReason]:
    """The reply in pieces of a word each, and why it ends."""
    ends = [text.index(stop) for stop in options.stop or () if stop and stop in text]
    if ends:
        text = text[: min(ends)]
    pieces = _PIECE.findall(text)
    limit = options.max_tokens
    if limit is None or len(_tokens(text)) <= limit:
        return pieces, "stop"
    kept: list[str] = []
    for piece in pieces:
        left = limit - len(_tokens("".join(kept)))
        inside = [found.end() for found in _TOKEN.finditer(piece)]
        if len(inside) > left:
            if left:
                kept.append(piece[: inside[left - 1]])
            break
        kept.append(piece)
    return kept, "length"


def _tool_calls(request: ChatRequest) -> tuple[ToolCall, ...]:
    """The calls that the last message asks for; else, where one is demanded, the first tool with what fits least."""
    if not request.tools or request.tool_choice == "none":
        return ()
    said = request.messages[-1] if request.messages else None
    if said is not None and said.role == "user":
        asked = tuple(_asked_call(*found) for found in enumerate(_CALL.findall(said.content)))
        if asked:
            return asked
    if request.tool_choice in (None, "auto"):
        return ()
    functions = [tool.get("function", tool) for tool in request.tools]
    named = [one for one in functions if one.get("name") == request.tool_choice]
    function = (named or functions)[0]
    smallest = _smallest(function.get("parameters") or {"type": "object"})
    arguments = smallest if isinstance(smallest, Mapping) else {}
    name = str(function.get("name"))
    return (ToolCall(id=f"call_{_number(name):08x}"[:13], name=name, arguments=arguments),)


def _asked_call(number: int, found: tuple[str, str]) -> ToolCall:
    name, arguments = found
    return ToolCall(id=f"call_{number}", name=name, arguments=parse_arguments(arguments))


def _smallest(schema: Any) -> Any:
    """The smallest value that fits a schema of the everyday keywords."""
    if not isinstance(schema, Mapping):
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        if schema.get(key):
            return _smallest(schema[key][0])
    kind = schema.get("type", "object" if "properties" in schema else "null")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties: Mapping[str, Any] = schema.get("properties", {})
        return {name: _smallest(properties.get(name, {})) for name in schema.get("required", ())}
    if kind == "array":
        return [_smallest(schema.get("items") or {})] * int(schema.get("minItems", 0))
    if kind == "string":
        return "x" * int(schema.get("minLength", 0))
    if kind in ("integer", "number"):
        return max(0, schema.get("minimum", 0)) if schema.get("maximum", 0) >= 0 else schema["maximum"]
    return False if kind == "boolean" else None


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _vector(text: str, *, normalize: bool) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for token in _tokens(text.lower()) or [""]:
        for at, byte in enumerate(hashlib.sha256(token.encode()).digest()[:DIMENSIONS]):
            vector[at] += byte / 127.5 - 1.0
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector] if normalize and length else vector
