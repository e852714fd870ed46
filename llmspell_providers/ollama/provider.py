"""An Ollama daemon as a backend.

Health, lists and residency are plain GETs, chats, embeddings and pulls the client for model servers, imported for them.
Nothing is ever cut silently: a prompt that is longer than the context is an error, not a shorter prompt.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.addresses import parse_address
from llmspell_protocol.errors import (
    BackendUnavailable,
    ConfigError,
    ContextLengthExceeded,
    InvalidRequest,
    Unsupported,
)
from llmspell_protocol.models import (
    SAMPLING,
    ChatChunk,
    ChatRequest,
    Embeddings,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    SamplingOptions,
    Usage,
)
from llmspell_protocol.pulls import PullProgress
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.base import FoundModel
from llmspell_providers.capabilities import LLAMA_OPTIONS, Capabilities, declare
from llmspell_providers.http.fields import count, items, vector
from llmspell_providers.http.limits import vectors_limit
from llmspell_providers.ollama import content, failures
from llmspell_providers.ollama.calls import OllamaCalls
from llmspell_providers.ollama.chat import chatted
from llmspell_providers.ollama.content import tagged
from llmspell_providers.ollama.server import FOREIGN, OllamaServer
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.spec import ModelSpec
from llmspell_providers.token_estimate import estimated_tokens
from llmspell_providers.vectors import packed

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import OllamaSettings
    from llmspell_protocol.areas.model import DamagedModel, VerifiedModel
    from llmspell_protocol.areas.model_texts import Purpose
    from llmspell_providers.ollama.client import OllamaClient
    from llmspell_providers.ollama.daemon import OllamaDaemon

T = TypeVar("T")

CAPABILITIES = declare(
    options=LLAMA_OPTIONS,
    lacks={
        "verify": "its files are checked by Ollama itself when they are pulled",
        "tokenize": "its interface does not offer it",
        "rerank": "its interface does not offer it",
        "tool_choice": "the model decides by itself whether it calls",
        "device": "it decides itself where a model runs",
        "speculation": "it decides itself how a model drafts",
        "plain_vectors": "its vectors always have length 1",
        "cached_tokens": "it does not tell",
        "prefill": "it does not tell",
    },
    # The same as our own engines': Ollama hands schemas to llama.cpp. A model's calls are read, not held to anything.
    grammar=Grammar(tools=False),
)


class OllamaProvider:
    """A backend of type `ollama`; belongs to one event loop.

    `log_directory` takes what a daemon says that is started here, with `environment`, the kernel's own.
    """

    def __init__(
        self, name: str, settings: OllamaSettings, *, log_directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._settings = settings
        # Our defaults are for our engines: a model of Ollama's has its own, which any option here would override.
        in_settings = settings.given & set(SAMPLING)
        self._defaults = SamplingOptions(**{option: getattr(settings, option) for option in in_settings})
        self._server = OllamaServer(
            name,
            settings.base_url,
            trusted_s=settings.health_check_interval_seconds,
            daemon=_daemon(settings, log_directory, environment),
        )
        self._calls = OllamaCalls(name, settings, self._server)

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """The same for all models."""
        return CAPABILITIES

    async def demand_configured(self) -> None:
        """Needs nothing to be asked."""

    async def health(self) -> HealthStatus:
        """Version and number of models; what is wrong in `reason`, within a second. Starts nothing."""
        answers = await asyncio.gather(self._server.version(), self._server.models("/api/tags"), return_exceptions=True)
        try:
            # In this order: what a foreign server says to the first tells more.
            version, tags = (_answered(answer) for answer in answers)
        except (BackendUnavailable, ConfigError) as error:
            return self._health(ready=False, reason=error.details["reason"])
        return replace(
            self._health(ready=True, reason=None),
            available_models=len(tags),
            version=version.number,
            latency_ms=version.latency_ms,
        )

    async def list_models(self) -> list[LocalModel]:
        """What the daemon has; raises `BackendUnavailable`."""
        await self._server.ready()
        tags, residents = await asyncio.gather(self._server.models("/api/tags"), self._server.models("/api/ps"))
        loaded = {entry["name"] for entry in residents}
        with self._understood():
            return [content.local_model(one, backend=self.name, loaded=one["name"] in loaded) for one in tags]

    async def damaged(self) -> list[DamagedModel]:
        """Nothing: its files are not ours."""
        return []

    async def find(self, spec: ModelSpec) -> FoundModel | None:
        """The model, if the daemon has it; raises `BackendUnavailable`."""
        return None if await self._entry(spec) is None else FoundModel()

    async def resolve(self, spec: ModelSpec) -> FoundModel:
        """What the name means is the daemon's to say when it is asked to answer.

        Ollama writes conversations for every model, by a template of its own where the model has none.
        """
        return FoundModel()

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """Everything that the daemon tells; raises `ModelNotFound`."""
        entry = await self._listed(spec)
        loaded = {one["name"] for one in await self._server.models("/api/ps")}
        shown = await self._calls.answer(_name(spec), lambda client: client.ask("/api/show", {"model": entry["name"]}))
        with self._understood():
            return content.model_info(shown, entry, backend=self.name, loaded=entry["name"] in loaded)

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress, None]:
        """Makes the daemon download a model; closing the iterator stops it, and the next pull goes on from there.

        `force` makes no difference: the daemon compares every layer with its digest each time.
        """
        # Only a pull needs its bookkeeping.
        from llmspell_providers.ollama.pull import pulled

        if quantization is not None and spec.variant is None:
            raise InvalidRequest(
                "Ollama's models have their quantization in the name",
                hint=f"write it there, for example {_name(spec)}:8b-instruct-q4_K_M@{self.name}",
            )
        yield PullProgress(phase="resolving")
        lines = pulled(self._server, _name(spec), backend=self.name, silence_s=self._settings.timeout_seconds)
        async with aclosing(lines):
            async for progress in lines:
                yield progress

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Deletes a model; the daemon unloads it first, answering or not."""
        entry = await self._listed(spec)
        # What was deleted can't be found by a second attempt.
        await self._calls.once(
            _name(spec), lambda client: client.ask("/api/delete", {"model": entry["name"]}, method="DELETE")
        )
        size = entry.get("size", 0)
        return size if isinstance(size, int) else 0

    async def verify(self, spec: ModelSpec) -> VerifiedModel:
        """Raises `Unsupported`."""
        raise CAPABILITIES.refusal("verify", self.name)

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Loads a model; `pin` keeps it until it is unloaded. Models that had to go for it are in `reason`."""
        if options.device not in (None, "auto"):
            raise CAPABILITIES.refusal("device", self.name)
        CAPABILITIES.demand_speculation(options.speculation, self.name)
        name = _name(spec)
        keep_alive = -1.0 if options.pin else options.keep_alive_s
        await self._server.ready()
        before = await self._calls.memory.residents()
        began = time.monotonic()
        await self._calls.answer(
            name, lambda client: client.ask("/api/generate", _loading(name, keep_alive, options.num_ctx))
        )
        load_ms = (time.monotonic() - began) * 1000
        gone = await self._calls.memory.gone(before, name)
        for model in await self.loaded():
            if model.model == tagged(name):
                reason = f"{model.reason}; Ollama unloaded {', '.join(gone)} for it" if gone else model.reason
                return replace(model, load_ms=load_ms, reason=reason)
        # Two tags of the same weights share one entry, and keep_alive 0 leaves none.
        return content.loaded_model({"name": tagged(name)}, backend=self.name)

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Makes the daemon unload a model once it has answered; returns what it held."""
        name = _name(spec)
        held = [model for model in await self.loaded() if model.model == tagged(name)]
        if not held:
            return 0
        await self._calls.answer(name, lambda client: client.ask("/api/generate", _loading(name, 0)))
        return held[0].memory_bytes or 0

    async def loaded(self) -> list[LoadedModel]:
        """What the daemon has in memory; raises `BackendUnavailable`. Starts nothing."""
        residents = await self._server.models("/api/ps")
        with self._understood():
            return [content.loaded_model(one, backend=self.name) for one in residents]

    async def chat(
        self, spec: ModelSpec, request: ChatRequest, *, client: str, found: FoundModel | None = None
    ) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk carries the result."""
        name = _name(spec)
        options = content.option_content(request.options, self._defaults, self._settings.options)
        async with aclosing(chatted(self._calls, name, request, options, backend=self.name)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def embed(
        self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str, found: FoundModel | None = None
    ) -> Embeddings:
        """One vector a text; Ollama normalises every one."""
        if not normalize:
            raise CAPABILITIES.refusal("plain_vectors", self.name)
        name = _name(spec)
        tokens = estimated_tokens(max(texts, key=len))

        async def ask(client: OllamaClient) -> tuple[list[list[float]], int]:
            body = {"model": name, "input": list(texts), "truncate": False}
            answer = await client.ask("/api/embed", body, limit_bytes=vectors_limit(len(texts)))
            rows = items(answer.get("embeddings"), "embeddings")
            used = count(answer.get("prompt_eval_count"), "prompt_eval_count")
            return [vector(row, f"embeddings[{at}]") for at, row in enumerate(rows)], used

        try:
            rows, prompt_tokens = await self._calls.answer(name, ask, tokens=tokens * len(texts))
        except ContextLengthExceeded:
            raise await self._calls.too_long(name, None, tokens) from None
        if len(rows) != len(texts) or len({len(row) for row in rows}) != 1:
            raise self._server.unavailable("another number of vectors than of texts came back")
        return Embeddings(
            data=packed(rows),
            count=len(rows),
            dimensions=len(rows[0]),
            usage=Usage(prompt_tokens=prompt_tokens),
            model=name,
            backend=self.name,
        )

    async def prefix(self, spec: ModelSpec, purpose: Purpose, *, found: FoundModel | None = None) -> str:
        """By the model's name: the daemon does not tell."""
        # Few texts have a purpose.
        from llmspell_providers.library.prefixes import known_prefixes

        return known_prefixes(spec.name).of(purpose)

    async def tokenize(self, spec: ModelSpec, text: str, *, found: FoundModel | None = None) -> list[int]:
        """Raises `Unsupported`."""
        raise CAPABILITIES.refusal("tokenize", self.name)

    async def count_tokens(
        self, spec: ModelSpec, texts: Sequence[str], *, found: FoundModel | None = None
    ) -> TokenCounts:
        """Raises `Unsupported`."""
        raise CAPABILITIES.refusal("tokenize", self.name)

    async def rerank(
        self, spec: ModelSpec, query: str, texts: Sequence[str], *, client: str, found: FoundModel | None = None
    ) -> Scores:
        """Raises `Unsupported`."""
        raise CAPABILITIES.refusal("rerank", self.name)

    async def close(self) -> None:
        """Closes the connections, and ends the daemon if it was started here; one that was there stays as it is."""
        await self._server.close()

    async def _entry(self, spec: ModelSpec) -> Mapping[str, Any] | None:
        wanted = tagged(_name(spec))
        await self._server.ready()
        return next((one for one in await self._server.models("/api/tags") if one["name"] == wanted), None)

    async def _listed(self, spec: ModelSpec) -> Mapping[str, Any]:
        entry = await self._entry(spec)
        if entry is None:
            raise failures.not_found(_name(spec), self.name)
        return entry

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """A server whose lists have other things in them than Ollama's is none."""
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
            raise self._server.unavailable(FOREIGN, why=str(error)) from None

    def _health(self, *, ready: bool, reason: str | None) -> HealthStatus:
        return HealthStatus(configured=True, ready=ready, base_url=self._server.address.url, reason=reason)


def _daemon(settings: OllamaSettings, log_directory: Path, environment: Mapping[str, str]) -> OllamaDaemon | None:
    if not settings.auto_start or not parse_address(settings.base_url).is_near:
        return None
    # Only who may start it needs to know how.
    from llmspell_providers.ollama.daemon import OllamaDaemon

    return OllamaDaemon(settings.base_url, environment=environment, log_path=log_directory / "ollama.log")


def _answered(answer: T | BaseException) -> T:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _loading(name: str, keep_alive: float | None, num_ctx: int | None = None) -> dict[str, Any]:
    """A request that has nothing to say, which loads a model, or with 0 unloads it."""
    options = {} if num_ctx is None else {"options": {"num_ctx": num_ctx}}
    return {"model": name, "keep_alive": keep_alive, "stream": False, **options}


def _name(spec: ModelSpec) -> str:
    """What Ollama calls the model."""
    if spec.hub_repository is not None:
        return f"hf.co/{spec.name}"
    if spec.source is not None:
        raise Unsupported(f"Ollama can't take a model from {spec.source}", hint=f"use {spec.source}@candle")
    return spec.name
