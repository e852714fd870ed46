"""An Ollama daemon as a backend. Chats, embeddings and pulls go through the official `ollama` package.

The package takes 0.4 s to import, so that health, lists and residency use a plain GET instead. Nothing is ever cut
silently: a prompt that is longer than the context is an error, not a shorter prompt.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.errors import (
    BackendUnavailable,
    ContextLengthExceeded,
    InvalidRequest,
    LlmspellError,
    Unsupported,
)
from llmspell_protocol.models import (
    SAMPLING,
    ChatChunk,
    ChatMessage,
    ChatRequest,
    Embeddings,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    PullProgress,
    SamplingOptions,
    Usage,
)
from llmspell_providers import ollama_content as content
from llmspell_providers.ollama_content import tagged
from llmspell_providers.ollama_memory import OllamaMemory, holds
from llmspell_providers.ollama_reply import OllamaReply
from llmspell_providers.ollama_server import OllamaServer
from llmspell_providers.remote.attempts import Attempts, Deadline
from llmspell_providers.remote.probe import is_loopback
from llmspell_providers.remote.servers import Server, Servers
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from ollama import AsyncClient

    from llmspell_profiles.providers import OllamaSettings
    from llmspell_providers.ollama_daemon import OllamaDaemon
    from llmspell_providers.remote.rate import Spent

_CHARACTERS_A_TOKEN = 4

T = TypeVar("T")


class OllamaProvider:
    """A backend of type `ollama`; belongs to one event loop.

    `log_directory` takes what a daemon says that is started here, with `environment`, the kernel's own.
    """

    def __init__(
        self, name: str, settings: OllamaSettings, *, log_directory: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._settings = settings
        self._defaults = SamplingOptions(**{option: getattr(settings, option) for option in SAMPLING})
        self._server = OllamaServer(
            name,
            settings.base_url,
            trusted_s=settings.health_check_interval_seconds,
            daemon=_daemon(settings, log_directory, environment),
        )
        self._memory = OllamaMemory(name, self._server)
        self._servers = Servers((settings.base_url,))
        self._attempts = Attempts(name, settings, self._servers)

    async def health(self) -> HealthStatus:
        """Version and number of models; what is wrong in `reason`, within a second. Starts nothing."""
        answers = await asyncio.gather(self._server.version(), self._server.models("/api/tags"), return_exceptions=True)
        try:
            # In this order: what a foreign server says to the first tells more.
            version, tags = (_answered(answer) for answer in answers)
        except BackendUnavailable as error:
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

    async def has(self, spec: ModelSpec) -> bool:
        """Whether the daemon has the model; raises `BackendUnavailable`."""
        return await self._entry(spec) is not None

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """Everything that the daemon tells; raises `ModelNotFound`."""
        entry = await self._listed(spec)
        loaded = {one["name"] for one in await self._server.models("/api/ps")}
        shown = await self._answer(_name(spec), lambda package: package.show(entry["name"]))
        with self._understood():
            return content.model_info(shown, entry, backend=self.name, loaded=entry["name"] in loaded)

    async def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None
    ) -> AsyncGenerator[PullProgress, None]:
        """Makes the daemon download a model; closing the iterator stops it, and the next pull goes on from there.

        `force` makes no difference: the daemon compares every layer with its digest each time.
        """
        # Only a pull needs its bookkeeping.
        from llmspell_providers.ollama_pull import pulled

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
        package = await self._server.package()
        deadline = self._deadline(_name(spec))
        try:
            # Once only: what was deleted can't be found by a second attempt.
            async with asyncio.timeout_at(deadline.at):
                with self._server.failures(self._said(_name(spec))):
                    await package.delete(entry["name"])
        except TimeoutError:
            raise deadline.passed(self._servers.all[0]) from None
        size = entry.get("size", 0)
        return size if isinstance(size, int) else 0

    async def verify(self, spec: ModelSpec) -> dict[str, object]:
        """Raises `Unsupported`: the daemon's files are its own."""
        raise self._lacks("verify", "its files are checked by Ollama itself when they are pulled")

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Loads a model; `pin` keeps it until it is unloaded. Models that had to go for it are in `reason`."""
        name = _name(spec)
        keep_alive = -1.0 if options.pin else options.keep_alive_s
        await self._server.ready()
        before = await self._memory.residents()
        began = time.monotonic()
        await self._answer(name, lambda package: package.generate(name, keep_alive=keep_alive))
        load_ms = (time.monotonic() - began) * 1000
        gone = await self._memory.gone(before, name)
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
        await self._answer(name, lambda package: package.generate(name, keep_alive=0))
        return held[0].memory_bytes or 0

    async def loaded(self) -> list[LoadedModel]:
        """What the daemon has in memory; raises `BackendUnavailable`. Starts nothing."""
        residents = await self._server.models("/api/ps")
        with self._understood():
            return [content.loaded_model(one, backend=self.name) for one in residents]

    async def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk carries the result.

        A request that fails before its first line is sent again, as often as the settings say; after that it is an
        error.
        """
        arrived = time.monotonic()
        name = _name(ModelSpec.parse(request.model))
        options = content.option_content(request.options, self._defaults, self._settings.options)
        if request.schema is not None:
            # Ollama hands schemas to the same grammar as our own engine, which ignores what it does not know.
            from llmspell_providers.candle.schema_check import check_schema

            check_schema(request.schema)
        tools = self._tools(request)
        await self._server.ready()
        if any(turn.images for turn in request.messages):
            await self._check_sight(name)
        before = await self._memory.residents()
        if before is not None and not holds(before, name, options.get("num_ctx")):
            yield ChatChunk(loading=True)
        deadline = self._deadline(name)

        async def open_stream(package: AsyncClient) -> tuple[AsyncGenerator[Any, None], Any]:
            try:
                lines = await self._ask(package, name, request, options, tools)
            except ValueError as error:
                # Nothing has been sent yet: the package checks tools and options by itself.
                raise _misshapen(error) from None
            return await _opened(lines)

        tokens = _estimate(request) + int(options.get("num_predict", 0))
        try:
            (lines, line), spent = await self._attempt(name, open_stream, deadline, tokens=tokens)
        except ContextLengthExceeded:
            raise await self._too_long(name, options.get("num_ctx"), _estimate(request)) from None
        gone = asyncio.create_task(self._memory.gone(before, name))
        reply = OllamaReply()
        try:
            async with aclosing(lines):
                while line is not None:
                    with self._server.failures(self._said(name)):
                        chunk = reply.take(line)
                    if chunk is not None:
                        reply.first_token_ms = reply.first_token_ms or (time.monotonic() - arrived) * 1000
                        yield chunk
                    line = await self._next(lines, deadline, name)
            if not reply.complete:
                raise self._server.unavailable("the stream ended in the middle of the reply")
            result = reply.result(name, backend=self.name, max_tokens=options.get("num_predict"), evicted=await gone)
        finally:
            gone.cancel()
        if spent is not None:
            spent.tokens = result.usage.prompt_tokens + result.usage.completion_tokens
        if request.schema is not None and not reply.calls:
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
        tokens = max(len(text) for text in texts) // _CHARACTERS_A_TOKEN
        try:
            answer = await self._answer(
                name, lambda package: package.embed(name, list(texts), truncate=False), tokens=tokens * len(texts)
            )
        except ContextLengthExceeded:
            raise await self._too_long(name, None, tokens) from None
        rows = answer.embeddings
        if len(rows) != len(texts) or len({len(row) for row in rows}) != 1:
            raise self._server.unavailable("another number of vectors than of texts came back")
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
        """Closes the connections, and ends the daemon if it was started here; one that was there stays as it is."""
        await self._server.close()

    async def _ask(
        self,
        package: AsyncClient,
        name: str,
        request: ChatRequest,
        options: Mapping[str, Any],
        tools: list[Mapping[str, Any]] | None,
    ) -> AsyncGenerator[Any, None]:
        from llmspell_providers.ollama_client import may_cut

        form = None if request.schema is None else dict(request.schema)
        lines: Any
        with may_cut(request.truncate):
            if request.raw:
                lines = await package.generate(
                    name, request.prompt or "", raw=True, stream=True, options=options, format=form
                )
            else:
                turns = request.messages or (ChatMessage(role="user", content=request.prompt or ""),)
                said = [content.message_content(turn) for turn in turns]
                lines = await package.chat(name, said, tools=tools, stream=True, options=options, format=form)
        generator: AsyncGenerator[Any, None] = lines
        return generator

    def _tools(self, request: ChatRequest) -> list[Mapping[str, Any]] | None:
        if not request.tools or request.tool_choice == "none":
            return None
        if request.tool_choice not in (None, "auto"):
            raise self._lacks(f"tool_choice '{request.tool_choice}'", "the model decides by itself whether it calls")
        return list(request.tools)

    async def _check_sight(self, name: str) -> None:
        shown = await self._answer(name, lambda package: package.show(name))
        if "vision" not in (shown.capabilities or ()):
            raise Unsupported(
                f"'{name}' can't see images, and {self.name} would leave them out without a word",
                hint="llmspell model info NAME shows 'vision' for a model that can",
                details={"operation": "images", "model": name, "backend": self.name},
            )

    async def _answer(self, name: str, ask: Callable[[AsyncClient], Awaitable[T]], *, tokens: int = 0) -> T:
        """What the server answers to a call that is no stream."""
        await self._server.ready()
        answer, _ = await self._attempt(name, ask, self._deadline(name), tokens=tokens)
        return answer

    async def _attempt(
        self, name: str, ask: Callable[[AsyncClient], Awaitable[T]], deadline: Deadline, *, tokens: int
    ) -> tuple[T, Spent | None]:
        async def ask_server(server: Server) -> T:
            await self._server.ready()
            package = await self._server.package()
            with self._server.failures(self._said(name)):
                return await ask(package)

        return await self._attempts.run(ask_server, deadline, tokens=tokens)

    async def _next(self, lines: AsyncGenerator[Any, None], deadline: Deadline, name: str) -> Any:
        # Around each step, not around the loop: a timeout must not strike while the reader of the chunks is at work.
        try:
            async with asyncio.timeout_at(deadline.at):
                with self._server.failures(self._said(name)):
                    return await anext(lines, None)
        except TimeoutError:
            raise deadline.passed(self._servers.all[0]) from None

    async def _entry(self, spec: ModelSpec) -> Mapping[str, Any] | None:
        wanted = tagged(_name(spec))
        await self._server.ready()
        return next((one for one in await self._server.models("/api/tags") if one["name"] == wanted), None)

    async def _listed(self, spec: ModelSpec) -> Mapping[str, Any]:
        entry = await self._entry(spec)
        if entry is None:
            raise content.not_found(_name(spec), self.name)
        return entry

    async def _too_long(self, name: str, num_ctx: int | None, estimate: int) -> LlmspellError:
        """The error with both numbers; Ollama tells none, and has the model in memory by now."""
        limit = num_ctx or await self._memory.context_length(name)
        return content.too_long(name, self.name, limit=limit, estimate=estimate)

    def _said(self, name: str) -> Callable[[str, int], LlmspellError]:
        return lambda text, status: content.request_error(text, status, model=name, backend=self.name)

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """A server whose lists have other things in them than Ollama's is none."""
        try:
            yield
        except (KeyError, ValueError, TypeError, AttributeError):
            raise self._server.unavailable("something else than Ollama answers there") from None

    def _deadline(self, name: str) -> Deadline:
        seconds = self._settings.timeout_seconds
        return Deadline(asyncio.get_running_loop().time() + seconds, seconds, self.name, name)

    def _health(self, *, ready: bool, reason: str | None) -> HealthStatus:
        return HealthStatus(configured=True, ready=ready, base_url=self._server.base_url, reason=reason)

    def _lacks(self, operation: str, why: str) -> Unsupported:
        return Unsupported(
            f"{self.name} can't do '{operation}': {why}", details={"operation": operation, "backend": self.name}
        )


def _daemon(settings: OllamaSettings, log_directory: Path, environment: Mapping[str, str]) -> OllamaDaemon | None:
    if not settings.auto_start or not is_loopback(settings.base_url):
        return None
    # Only who may start it needs to know how.
    from llmspell_providers.ollama_daemon import OllamaDaemon

    return OllamaDaemon(settings.base_url, environment=environment, log_path=log_directory / "ollama.log")


def _misshapen(error: ValueError) -> InvalidRequest:
    problems = error.errors() if hasattr(error, "errors") else []
    said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems) or str(error)
    return InvalidRequest(f"Ollama's client refuses the request: {said}")


async def _opened(lines: AsyncGenerator[Any, None]) -> tuple[AsyncGenerator[Any, None], Any]:
    """A stream whose first line is there: a server that fails before that has said nothing yet."""
    try:
        return lines, await anext(lines, None)
    except BaseException:
        await lines.aclose()
        raise


def _estimate(request: ChatRequest) -> int:
    said = len(request.prompt or "") + sum(len(turn.content) for turn in request.messages)
    return said // _CHARACTERS_A_TOKEN


def _answered(answer: T | BaseException) -> T:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _name(spec: ModelSpec) -> str:
    """What Ollama calls the model."""
    if spec.hub_repository is not None:
        return f"hf.co/{spec.name}"
    if spec.source is not None:
        raise Unsupported(f"Ollama can't take a model from {spec.source}", hint=f"use {spec.source}@candle")
    return spec.name
