"""An Ollama daemon as a backend. Chats, embeddings and pulls go through the official `ollama` package.

The package takes 0.4 s to import, so that health, lists and residency use a plain GET instead. Nothing is ever cut
silently: a prompt that is longer than the context is an error, not a shorter prompt.
"""

from __future__ import annotations

import asyncio
import importlib
import struct
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from llmspell_protocol.errors import BackendUnavailable, InvalidRequest, ModelNotFound, Timeout, Unsupported
from llmspell_protocol.models import (
    SAMPLING,
    ChatChunk,
    ChatMessage,
    ChatRequest,
    ChatResult,
    Embeddings,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    PullProgress,
    SamplingOptions,
    ToolCall,
    Usage,
)
from llmspell_providers import ollama_content as content
from llmspell_providers.http_probe import Answer, ProbeFailed, get_json
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ollama import AsyncClient, ProgressResponse

    from llmspell_profiles.providers import OllamaSettings

PROBE_DEADLINE_S = 1.0
_CONNECT_DEADLINE_S = 5.0


class OllamaProvider:
    """A backend of type `ollama`; belongs to one event loop."""

    def __init__(self, name: str, settings: OllamaSettings) -> None:
        self.name = name
        self._settings = settings
        self._base_url = settings.base_url.rstrip("/")
        self._defaults = SamplingOptions(**{option: getattr(settings, option) for option in SAMPLING})
        self._client: AsyncClient | None = None

    async def health(self) -> HealthStatus:
        """Version and number of models; what is wrong in `reason`, within a second."""
        try:
            answers = await asyncio.gather(self._get("/api/version"), self._get("/api/tags"), return_exceptions=True)
            # In this order: what a foreign server says to the first tells more.
            version, tags = (_answered(answer) for answer in answers)
            number = str(version.content["version"])
            models = len(tags.content["models"])
        except BackendUnavailable as error:
            return self._health(ready=False, reason=error.details["reason"])
        except (KeyError, TypeError):
            return self._health(ready=False, reason="something else than Ollama answers there")
        return replace(
            self._health(ready=True, reason=None),
            available_models=models,
            version=number,
            latency_ms=version.latency_ms,
        )

    async def list_models(self) -> list[LocalModel]:
        """What the daemon has; raises `BackendUnavailable`."""
        tags, residents = await asyncio.gather(self._models("/api/tags"), self._models("/api/ps"))
        loaded = {entry["name"] for entry in residents}
        return [content.local_model(one, backend=self.name, loaded=one["name"] in loaded) for one in tags]

    async def has(self, spec: ModelSpec) -> bool:
        """Whether the daemon has the model; raises `BackendUnavailable`."""
        return await self._entry(spec) is not None

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """Everything that the daemon tells; raises `ModelNotFound`."""
        entry = await self._entry(spec)
        if entry is None:
            raise self._not_found(spec)
        loaded = {one["name"] for one in await self._models("/api/ps")}
        package = await self._package()
        with self._failures(_name(spec)):
            shown = await package.show(entry["name"])
        return content.model_info(shown, entry, backend=self.name, loaded=entry["name"] in loaded)

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None
    ) -> AsyncGenerator[PullProgress, None]:
        """Makes the daemon download a model; closing the iterator stops it, and the next pull goes on from there.

        `force` makes no difference: the daemon compares every layer with its digest each time.
        """
        # Only a pull needs its bookkeeping.
        from llmspell_providers.ollama_pull import LayerCount

        if quantization is not None and spec.variant is None:
            raise InvalidRequest(
                "Ollama's models have their quantization in the name",
                hint=f"write it there, for example {_name(spec)}:8b-instruct-q4_K_M@{self.name}",
            )
        name = _name(spec)
        count = LayerCount(name, self.name)
        yield PullProgress(phase="resolving")
        package = await self._package()
        with self._failures(name, pulling=True):
            # The package says iterator; it is a generator, and closing it is what stops the download.
            lines = cast("AsyncGenerator[ProgressResponse, None]", await package.pull(name, stream=True))
            async with aclosing(lines):
                async for line in lines:
                    yield count.progress(line)
        yield count.complete()

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Deletes a model; the daemon unloads it first, answering or not."""
        entry = await self._entry(spec)
        if entry is None:
            raise self._not_found(spec)
        package = await self._package()
        with self._failures(_name(spec)):
            await package.delete(entry["name"])
        return int(entry.get("size", 0))

    async def verify(self, spec: ModelSpec) -> dict[str, object]:
        """Raises `Unsupported`: the daemon's files are its own."""
        raise self._lacks("verify", "its files are checked by Ollama itself when they are pulled")

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Loads a model; `pin` keeps it until it is unloaded."""
        keep_alive = -1.0 if options.pin else options.keep_alive_s
        began = time.monotonic()
        package = await self._package()
        with self._failures(_name(spec)):
            await package.generate(_name(spec), keep_alive=keep_alive)
        load_ms = (time.monotonic() - began) * 1000
        for model in await self.loaded():
            if model.model == _tagged(_name(spec)):
                return replace(model, load_ms=load_ms)
        # Two tags of the same weights share one entry, and keep_alive 0 leaves none.
        return content.loaded_model({"name": _tagged(_name(spec))}, backend=self.name)

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Makes the daemon unload a model once it has answered; returns what it held."""
        held = [model for model in await self.loaded() if model.model == _tagged(_name(spec))]
        if not held:
            return 0
        package = await self._package()
        with self._failures(_name(spec)):
            await package.generate(_name(spec), keep_alive=0)
        return held[0].memory_bytes or 0

    async def loaded(self) -> list[LoadedModel]:
        """What the daemon has in memory; raises `BackendUnavailable`."""
        return [content.loaded_model(one, backend=self.name) for one in await self._models("/api/ps")]

    async def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk carries the result."""
        arrived = time.monotonic()
        name = _name(ModelSpec.parse(request.model))
        options = content.option_content(request.options, self._defaults, self._settings.options)
        if request.schema is not None:
            # Ollama hands schemas to the same grammar as our own engine, which ignores what it does not know.
            from llmspell_providers.candle.schema_check import check_schema

            check_schema(request.schema)
        said = _Said()
        package = await self._package()
        with self._failures(name, num_ctx=options.get("num_ctx")):
            lines = await self._ask(package, name, request, options)
            async with aclosing(lines):
                deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
                while (line := await self._next(lines, deadline, name)) is not None:
                    chunk = said.take(line)
                    if chunk is not None:
                        said.first_token_ms = said.first_token_ms or (time.monotonic() - arrived) * 1000
                        yield chunk
        result = said.result(request, backend=self.name, max_tokens=options.get("num_predict"))
        if request.schema is not None and not said.calls:
            from llmspell_providers.candle.schema_check import check_reply

            check_reply(result.message.content, request.schema, finish_reason=result.finish_reason)
        yield ChatChunk(result=result)

    async def embed(self, spec: ModelSpec, texts: Sequence[str], *, normalize: bool, client: str) -> Embeddings:
        """One vector a text; Ollama normalises every one."""
        if not texts:
            raise InvalidRequest("input: at least one text is needed")
        if not normalize:
            raise self._lacks("embed without normalizing", "its vectors always have length 1")
        name = _name(spec)
        package = await self._package()
        with self._failures(name):
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    answer = await package.embed(name, list(texts), truncate=False)
            except TimeoutError:
                raise self._timeout(name) from None
        rows = answer.embeddings
        return Embeddings(
            data=b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows),
            count=len(rows),
            dimensions=len(rows[0]),
            usage=Usage(prompt_tokens=answer.prompt_eval_count or 0),
            model=name,
            backend=self.name,
        )

    async def tokenize(self, spec: ModelSpec, text: str) -> list[int]:
        """Raises `Unsupported`: the daemon has no such call."""
        raise self._lacks("tokenize", "its interface does not offer it")

    async def close(self) -> None:
        """Closes the connections; what the daemon has loaded stays its own business."""
        if self._client is not None:
            await self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    async def _ask(
        self, package: AsyncClient, name: str, request: ChatRequest, options: Mapping[str, Any]
    ) -> AsyncGenerator[Any, None]:
        lines: Any
        if request.raw:
            lines = await package.generate(
                name, request.prompt or "", raw=True, stream=True, options=options, format=_format(request)
            )
        else:
            turns = request.messages or (ChatMessage(role="user", content=request.prompt or ""),)
            lines = await package.chat(
                name,
                [content.message_content(turn) for turn in turns],
                tools=self._tools(request),
                stream=True,
                options=options,
                format=_format(request),
            )
        generator: AsyncGenerator[Any, None] = lines
        return generator

    def _tools(self, request: ChatRequest) -> list[Mapping[str, Any]] | None:
        if not request.tools or request.tool_choice == "none":
            return None
        if request.tool_choice not in (None, "auto"):
            raise self._lacks(f"tool_choice '{request.tool_choice}'", "the model decides by itself whether it calls")
        return list(request.tools)

    async def _next(self, lines: AsyncGenerator[Any, None], deadline: float, name: str) -> Any:
        # Around each step, not around the loop: a timeout must not strike while the reader of the chunks is at work.
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(lines, None)
        except TimeoutError:
            raise self._timeout(name) from None

    async def _get(self, path: str) -> Answer:
        try:
            return await get_json(self._base_url, path, deadline_s=PROBE_DEADLINE_S)
        except ProbeFailed as error:
            raise self._unavailable(str(error)) from None

    async def _models(self, path: str) -> list[Mapping[str, Any]]:
        answer = await self._get(path)
        models = answer.content.get("models") if isinstance(answer.content, dict) else None
        if not isinstance(models, list):
            raise self._unavailable("something else than Ollama answers there")
        return models

    async def _entry(self, spec: ModelSpec) -> Mapping[str, Any] | None:
        wanted = _tagged(_name(spec))
        return next((one for one in await self._models("/api/tags") if one["name"] == wanted), None)

    async def _package(self) -> AsyncClient:
        if self._client is None:
            # On a thread, so that the kernel's loop goes on while half a second of code is imported.
            module = await asyncio.to_thread(importlib.import_module, "llmspell_providers.ollama_client")
            self._client = self._client or module.uncut_client(self._base_url, connect_deadline_s=_CONNECT_DEADLINE_S)
        return self._client

    @contextmanager
    def _failures(self, model: str, *, num_ctx: int | None = None, pulling: bool = False) -> Iterator[None]:
        """Turns the package's exceptions into ours; it lets those of its HTTP library through."""
        # Imported by now, with the client.
        import httpx
        import ollama

        try:
            yield
        except ollama.ResponseError as error:
            if pulling:
                raise content.pull_error(error.error, model=model, backend=self.name) from None
            raise content.request_error(
                error.error, error.status_code, model=model, backend=self.name, num_ctx=num_ctx
            ) from None
        except (ConnectionError, httpx.HTTPError) as error:
            reason = "connection refused" if isinstance(error, ConnectionError | httpx.ConnectError) else str(error)
            raise self._unavailable(reason or type(error).__name__) from None

    def _health(self, *, ready: bool, reason: str | None) -> HealthStatus:
        return HealthStatus(configured=True, ready=ready, base_url=self._base_url, reason=reason)

    def _unavailable(self, reason: str) -> BackendUnavailable:
        return BackendUnavailable(
            f"{self.name}: no answer from {self._base_url} ({reason})",
            hint="ollama serve, or llmspell model install-ollama",
            details={"backend": self.name, "base_url": self._base_url, "reason": reason},
        )

    def _not_found(self, spec: ModelSpec) -> ModelNotFound:
        return ModelNotFound(
            f"Model '{_name(spec)}' not found in {self.name}",
            hint=f"llmspell model pull {_name(spec)}@{self.name}",
            details={"model": _name(spec), "backend": self.name},
        )

    def _lacks(self, operation: str, why: str) -> Unsupported:
        return Unsupported(
            f"{self.name} can't do '{operation}': {why}", details={"operation": operation, "backend": self.name}
        )

    def _timeout(self, name: str) -> Timeout:
        seconds = self._settings.timeout_seconds
        return Timeout(
            f"'{name}@{self.name}' was not done after {seconds} s",
            hint=f"raise providers.{self.name}.timeout_seconds, or lower max_tokens",
            details={"timeout_s": seconds, "model": name},
        )


class _Said:
    """What has come of one reply."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.calls: list[ToolCall] = []
        self.first_token_ms: float | None = None
        self.last: Any = None

    def take(self, line: Any) -> ChatChunk | None:
        """The chunk for one line, if the line has anything to show."""
        self.last = line
        message = getattr(line, "message", None)
        text = (line.response if message is None else message.content) or ""
        reasoning = (None if message is None else message.thinking) or ""
        calls = [
            # The package drops Ollama's own ids.
            ToolCall(id=f"call_{len(self.calls) + at}", name=call.name, arguments=dict(call.arguments))
            for at, call in enumerate(one.function for one in (message.tool_calls if message else None) or ())
        ]
        self.text.append(text)
        self.reasoning.append(reasoning)
        self.calls += calls
        return ChatChunk(text=text, reasoning=reasoning, tool_calls=calls) if text or reasoning or calls else None

    def result(self, request: ChatRequest, *, backend: str, max_tokens: int | None) -> ChatResult:
        """The whole reply, after the last line."""
        message = ChatMessage(
            role="assistant",
            content="".join(self.text),
            reasoning="".join(self.reasoning) or None,
            tool_calls=tuple(self.calls),
        )
        return ChatResult(
            message=message,
            finish_reason=content.finish_reason_of(self.last, called=bool(self.calls), max_tokens=max_tokens),
            usage=content.usage_of(self.last),
            timings=content.timings_of(self.last, self.first_token_ms),
            model=_name(ModelSpec.parse(request.model)),
            backend=backend,
        )


def _answered(answer: Answer | BaseException) -> Answer:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _format(request: ChatRequest) -> dict[str, Any] | None:
    return None if request.schema is None else dict(request.schema)


def _name(spec: ModelSpec) -> str:
    """What Ollama calls the model."""
    if spec.hub_repository is not None:
        return f"hf.co/{spec.name}"
    if spec.source is not None:
        raise Unsupported(f"Ollama can't take a model from {spec.source}", hint=f"use {spec.source}@candle")
    return spec.name


def _tagged(name: str) -> str:
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"
