"""Models of all backends as one: listing, loading, pulling, answering. Knows no messages.

Backends are asked side by side, and one that is down never hides the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from llmspell_protocol.durations import duration_seconds
from llmspell_protocol.errors import InvalidRequest, LlmspellError, Unsupported
from llmspell_protocol.models import (
    AvailableModel,
    ChatChunk,
    ChatRequest,
    Embeddings,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    PullProgress,
)
from llmspell_providers.registry import ProviderRegistry, backend_not_configured
from llmspell_providers.spec import LOCAL_BACKENDS, ModelSpec

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import ProviderSettings
    from llmspell_profiles.schema.settings import Settings
    from llmspell_providers.base import Provider
    from llmspell_providers.ollama.install import OllamaInstall


T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BackendError:
    """A backend that could not answer while others did."""

    backend: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Listing:
    """Installed models, and the backends that could not be asked."""

    models: list[LocalModel]
    errors: list[BackendError]


@dataclass(frozen=True, slots=True)
class Removed:
    """A deleted model."""

    model_id: str
    backend: str
    bytes_freed: int


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A model that is no longer in memory; `bytes_freed` is 0 when it was not."""

    model: str
    backend: str
    bytes_freed: int


@dataclass(frozen=True, slots=True)
class Residents:
    """The models in memory, what the in-house ones may hold and hold together, and what the machine can still give."""

    models: list[LoadedModel]
    budget_bytes: int
    used_bytes: int
    available_bytes: int
    errors: list[BackendError]


class ModelsService:
    """What the kernel does with models; belongs to one event loop, and so does everything below it.

    `home` is LLMSPELL_HOME, `log_directory` exists and takes the logs of workers, `environment` is the kernel's own.
    """

    def __init__(self, settings: Settings, home: Path, *, log_directory: Path, environment: Mapping[str, str]) -> None:
        self._home = home
        self._retiring: set[asyncio.Task[None]] = set()
        self._pins = asyncio.Lock()
        self._registry = ProviderRegistry(
            settings,
            log_directory=log_directory,
            environment=environment,
            find_key=lambda name, table: _api_key(name, table, environment, home),
            find_hub_token=lambda: _hub_token(home),
        )

    def default_model(self, provider: str | None = None) -> str:
        """The spec for requests that name no model: the default model of a provider, or of the default one.

        Raises:
            ConfigError: the settings name none.
        """
        return self._registry.default_model(provider)

    def own(self) -> dict[str, int]:
        """The in-house models in memory, by name, each with the number of requests that wait for it."""
        return {model.name: model.queue.waiting for model in self._registry.residency.models}

    async def list_models(self, backend: str | None = None) -> Listing:
        """The installed models of one backend or all; one backend that can't answer raises, of all it is listed."""
        if backend is not None and backend != "all":
            return Listing(await self._registry.get(backend).list_models(), [])
        providers = [self._registry.get(name) for name in self._registry.local]
        answers = await asyncio.gather(*(_caught(one.list_models(), one.name) for one in providers))
        return Listing(
            [model for answer in answers if isinstance(answer, list) for model in answer],
            [answer for answer in answers if isinstance(answer, BackendError)],
        )

    async def status(self, backend: str | None = None) -> dict[str, HealthStatus]:
        """The health of one backend or all, by name; `ollama` and `candle` are always there.

        Raises:
            BackendNotConfigured: `backend` is neither configured nor known.
        """
        if backend is not None and backend != "all":
            names = [backend]
        else:
            kinds = {self._registry.kind(name) for name in self._registry.local}
            missing = (kind for kind in LOCAL_BACKENDS if kind not in kinds)
            names = [*self._registry.local, *missing, *self._registry.remote]
        healths = await asyncio.gather(*(self._health(name) for name in names))
        return dict(zip(names, healths, strict=True))

    async def available(self, backend: str | None = None, *, recommended: bool = False) -> list[AvailableModel]:
        """What can be pulled, from the packaged catalog; no network is asked, only what is installed here.

        Raises:
            BackendNotConfigured: `backend` is none that the catalog has.
        """
        # The catalog is a file to parse; most requests don't need it.
        from llmspell_providers.library.catalog import Catalog

        kinds = LOCAL_BACKENDS if backend is None or backend == "all" else (backend,)
        if not set(kinds) <= set(LOCAL_BACKENDS):
            raise backend_not_configured(kinds[0])
        installed = await asyncio.gather(*(self._installed(kind) for kind in kinds))
        lines = [
            line for kind, names in zip(kinds, installed, strict=True) for line in Catalog.load().available(kind, names)
        ]
        return [line for line in lines if line.recommended or not recommended]

    async def info(self, model: str) -> ModelInfo:
        """Everything known about an installed model; Ollama is searched first, then candle. Empty: the default one."""
        provider, spec = await self._locate(model)
        found = await provider.info(spec)
        return replace(found, supports=provider.capabilities(found.format).supports)

    async def pull(
        self, model: str, *, force: bool = False, quantization: str | None = None
    ) -> AsyncGenerator[PullProgress]:
        """Downloads a model; the last item carries the result. Closing the iterator ends the download."""
        provider, spec = await self._registry.for_pull(ModelSpec.parse(model))
        progress = provider.pull(spec, force=force, quantization=quantization)
        async with aclosing(progress):
            async for item in progress:
                yield item

    async def remove(self, model: str, *, force: bool = False) -> Removed:
        """Deletes a model, unloading it first.

        Raises:
            InvalidRequest: several backends have a model of this name.
            ModelInUse: it answers a request, and `force` is not given.
        """
        provider, spec = await self._registry.locate_only(ModelSpec.parse(model))
        return Removed((await provider.info(spec)).id, provider.name, await provider.remove(spec, force=force))

    async def load(
        self, model: str, *, keep_alive: float | str | None = None, pin: bool = False, device: str | None = None
    ) -> LoadedModel:
        """Makes a model ready to answer; raises what the load raises."""
        keep_alive_s = None if keep_alive is None else keep_alive_seconds(keep_alive)
        provider, spec = await self._locate(model)
        if device not in (None, "auto"):
            provider.capabilities().demand("device", provider.name)
        return await provider.load(spec, LoadOptions(keep_alive_s=keep_alive_s, pin=pin, device=device))

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
            task = asyncio.get_running_loop().create_task(self._retire(provider, running))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, provider: Provider, running: Collection[asyncio.Task[None]]) -> None:
        try:
            if running:
                await asyncio.wait(running)
        finally:
            await self._registry.retire(provider)

    async def unload(self, model: str | None = None, *, force: bool = False) -> list[Unloaded]:
        """Ends one loaded model, or all; a name that is not loaded frees nothing and is no error.

        Raises:
            ModelInUse: it answers a request, and `force` is not given; with all, the others are ended all the same.
        """
        if model is not None:
            provider, spec = await self._locate(model)
            return [Unloaded(spec.name, provider.name, await provider.unload(spec, force=force))]
        unloaded: list[Unloaded] = []
        in_use: LlmspellError | None = None
        for resident in (await self.ps()).models:
            spec = ModelSpec.parse(resident.model).with_backend(resident.backend)
            try:
                freed = await self._registry.get(resident.backend).unload(spec, force=force)
            except LlmspellError as error:
                in_use = error
            else:
                unloaded.append(Unloaded(resident.model, resident.backend, freed))
        if in_use is not None:
            in_use.details["unloaded"] = [one.model for one in unloaded]
            raise in_use
        return unloaded

    async def ps(self) -> Residents:
        """The models in memory, of all backends."""
        # Somebody else's server does not tell what it has in memory.
        providers = {one.name: one for one in self._registry.made if one.name not in self._registry.remote}
        for name in self._registry.local:
            providers.setdefault(name, self._registry.get(name))
        answers = await asyncio.gather(*(_caught(one.loaded(), name) for name, one in providers.items()))
        return Residents(
            [model for answer in answers if isinstance(answer, list) for model in answer],
            self._registry.residency.budget_bytes(),
            self._registry.residency.used_bytes,
            self._registry.residency.available_bytes(),
            [answer for answer in answers if isinstance(answer, BackendError)],
        )

    async def verify(self, model: str | None = None) -> list[dict[str, Any]]:
        """Compares the files of one model, or of all in-house ones, with their manifests."""
        if model is not None:
            provider, spec = await self._registry.locate(ModelSpec.parse(model))
            return [await provider.verify(spec)]
        own = [self._registry.get(name) for name in self._registry.local if self._registry.kind(name) == "candle"]
        return [
            await provider.verify(ModelSpec.parse(model.id).with_backend(provider.name))
            for provider in own
            for model in await provider.list_models()
        ]

    async def chat(self, request: ChatRequest, *, client: str) -> AsyncGenerator[ChatChunk]:
        """Streams a reply to a conversation or a prompt; the last chunk carries the result.

        An empty `request.model` is the default model. Closing the iterator cancels the work in the engine.
        """
        provider, spec = await self._locate(request.model)
        chunks = provider.chat(replace(request, model=str(spec)), client=client)
        async with aclosing(chunks):
            async for chunk in chunks:
                yield chunk

    async def has_chat_template(self, model: str) -> bool:
        """Whether the model is told who says what; else it reads the bare texts of all messages."""
        provider, spec = await self._locate(model)
        return await provider.has_chat_template(spec)

    async def embed(self, texts: list[str], *, model: str | None, normalize: bool, client: str) -> Embeddings:
        """One vector a text; without a model the default one's."""
        provider, spec = await self._locate(model or "")
        return await provider.embed(spec, texts, normalize=normalize, client=client)

    async def tokenize(self, model: str, text: str) -> list[int]:
        """The model's own token ids of a text."""
        provider, spec = await self._locate(model)
        return await provider.tokenize(spec, text)

    async def install_ollama(self, *, execute: bool) -> OllamaInstall:
        """How Ollama is installed on this machine; `execute` does it."""
        from llmspell_providers.ollama.install import install_ollama

        return await install_ollama(execute=execute)

    async def close(self) -> None:
        """Ends everything that backends have running."""
        retiring = tuple(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        await self._registry.close()

    async def _unpin(self, model: str) -> None:
        provider, spec = await self._locate(model)
        model_id = (await provider.info(spec)).id
        name = f"{model_id}@{provider.name}"
        if self._registry.residency.get(name) is not None:
            self._registry.residency.unpin(name)
        elif any(one.model == model_id for one in await provider.loaded()):
            # A backend that keeps its models itself gets its own keep-alive back with an ordinary load.
            await provider.load(spec, LoadOptions())

    async def _locate(self, model: str) -> tuple[Provider, ModelSpec]:
        return await self._registry.locate(ModelSpec.parse(model or self.default_model()))

    async def _health(self, name: str) -> HealthStatus:
        if not self._registry.has(name):
            if name not in LOCAL_BACKENDS:
                raise backend_not_configured(name)
            return HealthStatus(configured=False, ready=False, reason="not configured")
        try:
            provider = self._registry.get(name)
        except Unsupported as error:
            return HealthStatus(configured=True, ready=False, reason=error.message)
        return await provider.health()

    async def _installed(self, kind: str) -> frozenset[str]:
        """Ids and bare names of what a backend has; nothing when it can't be asked."""
        if not self._registry.has(kind):
            return frozenset()
        provider = self._registry.get(kind)
        answer = await _caught(provider.list_models(), provider.name)
        if isinstance(answer, BackendError):
            return frozenset()
        return frozenset(name for local in answer for name in (local.id, local.id.partition(":")[0]))


def _api_key(name: str, table: ProviderSettings, environment: Mapping[str, str], home: Path) -> str | None:
    """The key of a remote provider; the store is a file or a system keyring, so this may block."""
    # Only who talks to a remote provider needs keys.
    from llmspell_profiles.credentials.key_store import KeyStore
    from llmspell_profiles.credentials.secrets import find_api_key

    found = find_api_key(name, table, environment, KeyStore(home))
    return None if found is None else found.value


def _hub_token(home: Path) -> str | None:
    """The token for the Hugging Face hub that `llmspell keys add huggingface` has kept; this may block."""
    # Only a pull without HF_TOKEN needs it.
    from llmspell_profiles.credentials.key_store import KeyStore

    found = KeyStore(home).get("huggingface")
    return None if found is None else found.value


async def _caught(asked: Awaitable[list[T]], backend: str) -> list[T] | BackendError:
    try:
        return await asked
    except LlmspellError as error:
        return BackendError(backend, error.code, error.message)


def keep_alive_seconds(value: float | str) -> float:
    """Seconds from a number or a text such as `5m` or `1h30m`; 0 unloads at once and -1 (any negative) never.

    Raises:
        InvalidRequest: neither.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            seconds = float(text)
        except ValueError:
            try:
                seconds = duration_seconds(text)
            except ValueError:
                raise InvalidRequest(
                    f"keep_alive: '{value}' is no duration",
                    hint='write seconds, or a text such as "90s", "5m", "1h30m"; 0 = unload at once, -1 = never',
                ) from None
    else:
        seconds = float(value)
    return -1.0 if seconds < 0 else seconds
