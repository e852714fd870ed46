"""Models of all backends as one: loading, pinning, answering; `inventory` tells what there is. Knows no messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from llmspell_kernel.services.chat_turn import chat_turn
from llmspell_kernel.services.model_users import ModelUsers
from llmspell_kernel.services.provider_keys import api_key, hub_token, keyed_vendors
from llmspell_kernel.services.reply_checks import ReplyChecks
from llmspell_protocol.background import of_no_request
from llmspell_protocol.durations import FORMS, read_seconds
from llmspell_protocol.errors import InvalidRequest, LlmspellError, ModelNotFound
from llmspell_protocol.models import (
    ChatChunk,
    ChatRequest,
    Embeddings,
    LoadedModel,
    LoadOptions,
    ModelInfo,
    Speculation,
)
from llmspell_protocol.scores import Scores, TokenCounts
from llmspell_providers.registry import LocatedModel, ProviderRegistry
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_kernel.services.embedding_model import Embedder
    from llmspell_kernel.services.inventory import Inventory
    from llmspell_profiles.schema.settings import Settings
    from llmspell_protocol.areas.model import ModelProvidersReply
    from llmspell_protocol.areas.model_texts import Purpose
    from llmspell_providers.base import Provider
    from llmspell_providers.remote.provider import RemoteProvider


log = logging.getLogger(__name__)

_SHOWN = 40
"""Characters of a wrong value that its error shows."""


class ModelsService:
    """What the kernel does with models; belongs to one event loop, and so does everything below it.

    `home` is LLMSPELL_HOME, `log_directory` exists and takes the logs of workers, `environment` is the kernel's own.
    """

    def __init__(self, settings: Settings, home: Path, *, log_directory: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._retiring: set[asyncio.Task[None]] = set()
        self._pins = asyncio.Lock()
        self._reply_checks = ReplyChecks(log_directory)
        self.users = ModelUsers()
        """Who has used which models."""
        self._registry = ProviderRegistry(
            settings,
            log_directory=log_directory,
            environment=environment,
            find_key=lambda name, table: api_key(name, table, environment, home),
            keyed_vendors=lambda: keyed_vendors(environment, home),
            find_hub_token=lambda: hub_token(home),
        )

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model: the default model of a provider, or of the default one.

        Raises:
            ConfigError: the settings name none.
        """
        return self._registry.default_model(provider)

    async def demand_backend(self, model: str) -> None:
        """Raises what keeps the backend of a model from being asked, without asking any; empty: the default model's.

        Raises:
            BackendNotConfigured, Unsupported, ConfigError: it is not configured, not known, or has no key.
        """
        await self._registry.demand_backend(ModelSpec.parse(model or self.default_model()))

    def own(self) -> dict[str, int]:
        """The in-house models in memory, by name, each with the number of requests that wait for it."""
        return {model.name: model.queue.waiting for model in self._registry.residency.models}

    @cached_property
    def inventory(self) -> Inventory:
        """What there is: installed, in the catalog, in memory."""
        # A script's agents need no more than chats.
        from llmspell_kernel.services.inventory import Inventory

        return Inventory(self._registry)

    async def providers(self) -> ModelProvidersReply:
        """The configured providers; no server is asked."""
        # Only who asks for them needs it.
        from llmspell_kernel.services.providers import configured_providers

        return await configured_providers(self._registry)

    async def info(self, model: str) -> ModelInfo:
        """Everything known about an installed model; Ollama is searched first, then candle. Empty: the default one."""
        async with self._advice(model):
            provider, spec, _ = await self._locate(model)
            found = await provider.info(spec)
        return replace(found, supports=provider.capabilities(found.format).supports_with(found.capabilities))

    async def load(
        self,
        model: str,
        *,
        keep_alive: float | str | None = None,
        pin: bool = False,
        device: str | None = None,
        speculation: Speculation | None = None,
        num_ctx: int | None = None,
    ) -> LoadedModel:
        """Makes a model ready to answer; raises what the load raises."""
        keep_alive_s = None if keep_alive is None else keep_alive_seconds(keep_alive)
        async with self._advice(model):
            provider, spec, found = await self._locate(model)
            if found is None:
                await provider.resolve(spec)
        if device not in (None, "auto"):
            provider.capabilities().demand("device", provider.name)
        provider.capabilities().demand_speculation(speculation, provider.name)
        if num_ctx is not None:
            provider.capabilities().demand("num_ctx", provider.name)
        wanted = LoadOptions(
            keep_alive_s=keep_alive_s, pin=pin, device=device, speculation=speculation, num_ctx=num_ctx
        )
        return await provider.load(spec, wanted)

    async def change_pins(self, models: Sequence[str], no_longer: Sequence[str] = ()) -> None:
        """Loads and pins some models, one after the other, and lets others go; one that fails is logged and left out.

        What is no longer pinned stays loaded for its keep-alive.
        """
        async with self._pins:  # one change after the other, in the order of the reloads
            for model in no_longer:
                try:
                    await self._unpin(model)
                except LlmspellError as error:
                    log.warning("model %s stays pinned: %s", model, error.message)
            for model in models:
                try:
                    await self.load(model, pin=True)
                except LlmspellError as error:
                    log.warning("pinned model %s is not loaded: %s", model, error.message)

    def reconfigure(self, settings: Settings, running: Collection[asyncio.Task[None]]) -> None:
        """Uses these settings from here on.

        A provider whose table changed is replaced; the old one is closed when the `running` tasks, which may use it,
        have ended. Models in memory stay as they are.
        """
        for provider in self._registry.reconfigure(settings):
            task = of_no_request(asyncio.get_running_loop().create_task, self._retire(provider, running))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, provider: Provider, running: Collection[asyncio.Task[None]]) -> None:
        try:
            if running:
                await asyncio.wait(running)
        finally:
            await self._registry.retire(provider)

    async def locate(self, model: str) -> LocatedModel:
        """The model that a turn is about, found with one look-up.

        Empty: the default one.

        Raises:
            BackendNotConfigured, Unsupported, ModelNotFound: no backend answers for it.
        """
        async with self._advice(model):
            located = await self._locate(model)
            return located if located.found else located._replace(found=await located.provider.resolve(located.spec))

    def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply to a conversation or a prompt; the last chunk carries the result.

        An empty `request.model` is the default model. Closing the iterator cancels the work in the engine.
        """

        async def locate() -> LocatedModel:
            located = await self.locate(request.model)
            self._used(located, client)
            return located

        chunks = chat_turn(locate, request, client=client, checks=self._reply_checks)
        if not any(message.images for message in request.messages):
            return chunks
        # Few turns show something.
        from llmspell_kernel.services.seeing_model import with_a_seeing_model

        return with_a_seeing_model(chunks, self._registry)

    async def embed(
        self,
        texts: list[str],
        *,
        model: str | None,
        normalize: bool,
        client: str,
        purpose: Purpose | None = None,
        dimensions: int | None = None,
    ) -> Embeddings:
        """One vector a text; a `purpose` puts what the model wants for it before each of them.

        `dimensions` is what a vendor's model is asked for that can make shorter vectors.

        Without a model (or with an empty name) the one of the settings, else an installed embedding model, else the
        default one with a warning in the result.
        """
        if not texts:
            raise InvalidRequest("input: at least one text is needed")
        warnings: Sequence[str] = ()
        better: str | None = None
        if not model:
            # A request that names its model needs no choice.
            from llmspell_kernel.services.embedding_model import embedding_model

            model, warnings, better = await embedding_model(self._registry)
        try:
            provider, spec, found = await self.locate(model)
        except ModelNotFound as error:
            if better is not None:
                error.hint = f"llmspell model pull {better} for embeddings, and then the same again"
            raise
        self._used(LocatedModel(provider, spec, found), client)
        if purpose is not None and (prefix := await provider.prefix(spec, purpose, found=found)):
            texts = [prefix + text for text in texts]
        if dimensions is not None and self.is_remote(provider.name):
            remote = cast("RemoteProvider", provider)
            embeddings = await remote.embed(
                spec, texts, normalize=normalize, client=client, found=found, dimensions=dimensions
            )
        else:
            embeddings = await provider.embed(spec, texts, normalize=normalize, client=client, found=found)
        return replace(embeddings, warnings=warnings)

    async def embedder(self, backend: str | None = None) -> Embedder:
        """A model that is there for vectors, set or installed; never one that chats.

        Raises:
            BackendNotConfigured: the settings have no such backend.
        """
        # Requests that name their model need no choice.
        from llmspell_kernel.services.embedding_model import embedder

        return await embedder(self._registry, backend)

    def is_remote(self, backend: str) -> bool:
        """Whether a backend is a server that may have models which it doesn't list."""
        return self._registry.is_remote(backend)

    def prepare_own(self) -> None:
        """Imports what models of this kernel's own need: while a caller waits for something else; in any thread."""
        self._registry.prepare_own()

    def count_beside(self, memory_bytes: Callable[[], int]) -> None:
        """What else this kernel holds for models' work counts in the budget of models."""
        self._registry.residency.count_beside(memory_bytes)

    def forget(self, owner: str) -> None:
        """A client or script context has ended, and uses no model any more."""
        self.users.forget(owner)

    def _used(self, located: LocatedModel, client: str) -> None:
        name = located.found.id if located.found is not None else None
        self.users.uses(client, located.provider.name, name or str(replace(located.spec, backend=None)))

    async def rerank(self, query: str, texts: Sequence[str], *, model: str, client: str) -> Scores:
        """How well each text answers the query, by a model that was made for that; higher is better.

        Raises:
            InvalidRequest: there are no texts.
            ModelNotFound, Unsupported, ContextLengthExceeded: as `Provider.rerank` says.
        """
        if not texts:
            raise InvalidRequest("texts: at least one text is needed")
        provider, spec, found = await self.locate(model)
        self._used(LocatedModel(provider, spec, found), client)
        return await provider.rerank(spec, query, texts, client=client, found=found)

    async def count_tokens(self, model: str, texts: Sequence[str]) -> TokenCounts:
        """Tokens of each text in a model, and how many it adds to one that it embeds.

        Raises:
            Unsupported: the backend counts none.
        """
        provider, spec, found = await self.locate(model)
        return await provider.count_tokens(spec, texts, found=found)

    async def tokenize(self, model: str, text: str) -> list[int]:
        """The model's own token ids of a text."""
        provider, spec, found = await self.locate(model)
        return await provider.tokenize(spec, text, found=found)

    async def demand_fit(self, text: str, schema: object) -> None:
        """Raises `SchemaViolation` where a JSON text does not fit a schema."""
        await self._reply_checks.demand_fit(text, schema)

    async def close(self) -> None:
        """Ends everything that backends have running."""
        retiring = tuple(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        await self._reply_checks.close()
        await self._registry.close()

    async def _unpin(self, model: str) -> None:
        provider, spec, _ = await self._locate(model)
        model_id = (await provider.info(spec)).id
        name = f"{model_id}@{provider.name}"
        if self._registry.residency.get(name) is not None:
            self._registry.residency.unpin(name)
        elif any(one.model == model_id for one in await provider.loaded()):
            # A backend that keeps its models itself gets its own keep-alive back with an ordinary load.
            await provider.load(spec, LoadOptions())

    @asynccontextmanager
    async def _advice(self, model: str) -> AsyncGenerator[None]:
        """A name that no backend has is told with what may have been meant, and whether it can be pulled."""
        try:
            yield
        except ModelNotFound as error:
            # Only an error needs it.
            from llmspell_providers.missing_model import advise

            await advise(error, model or self.default_model(), self._registry, self.inventory.offered)
            raise

    async def _locate(self, model: str) -> LocatedModel:
        return await self._registry.locate(ModelSpec.parse(model or self.default_model()))


def keep_alive_seconds(value: float | str) -> float:
    """Seconds from a number or a text such as `5m` or `1h30m`; 0 unloads at once and -1 (any negative) never.

    Raises:
        InvalidRequest: neither.
    """
    try:
        seconds = read_seconds(value)
    except ValueError:
        shown = str(value)
        raise InvalidRequest(
            f"keep_alive: '{shown[:_SHOWN]}{'…' if len(shown) > _SHOWN else ''}' is not a duration",
            hint=f"write {FORMS}; 0 = unload at once, -1 = never; a hundred years at most",
        ) from None
    return -1.0 if seconds < 0 else seconds
