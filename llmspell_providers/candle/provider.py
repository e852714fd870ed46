"""The in-house backend: installed models, each loaded into a worker process of its own when it is needed.

Puts store, pulls, residency and processes together; each of them knows only itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from llmspell_protocol.errors import (
    ConfigError,
    ContextLengthExceeded,
    ModelLoadFailed,
    ModelNotFound,
    Timeout,
)
from llmspell_protocol.models import (
    SAMPLING,
    ChatChunk,
    ChatRequest,
    HealthStatus,
    LoadedModel,
    LoadOptions,
    LocalModel,
    ModelInfo,
    SamplingOptions,
)
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.base import FoundModel
from llmspell_providers.candle.capabilities import CAPABILITIES, engine_of
from llmspell_providers.candle.context_size import USUAL, Wish, with_way_out
from llmspell_providers.candle.downloads import Downloads
from llmspell_providers.candle.engine import no_chat
from llmspell_providers.candle.installed_engines import installed_engines, why_missing
from llmspell_providers.candle.installed_model import InstalledModel, installed
from llmspell_providers.candle.loaded_model import loaded_model
from llmspell_providers.candle.loading import Loader
from llmspell_providers.candle.server_binary import find_server
from llmspell_providers.candle.speculation import Wanted, nothing_to_draft
from llmspell_providers.candle.text_requests import TextRequests
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.library.store import Store
from llmspell_providers.residency.resident import Blueprint, Resident
from llmspell_providers.spec import ModelSpec

if TYPE_CHECKING:
    from llmspell_profiles.schema.providers import CandleSettings
    from llmspell_profiles.schema.settings import ModelsSettings
    from llmspell_protocol.areas.found_models import HubRepository
    from llmspell_protocol.areas.model import DamagedModel, VerifiedModel
    from llmspell_providers.candle.process import ModelProcess
    from llmspell_providers.library.manifest import Manifest
    from llmspell_providers.residency.residency import Residency, Turn

T = TypeVar("T")
_log = logging.getLogger(__name__)


class CandleProvider(TextRequests):
    """A backend of type `candle`; belongs to one event loop."""

    def __init__(
        self,
        name: str,
        settings: CandleSettings,
        models: ModelsSettings,
        *,
        residency: Residency[ModelProcess],
        log_directory: Path,
        environment: Mapping[str, str],
        find_hub_token: Callable[[], str | None] = lambda: None,
    ) -> None:
        """`environment` is the kernel's own; pulls get the part of it that they need.

        `find_hub_token` knows a token for the Hugging Face hub where the environment has none; it may block.
        """
        self.name = name
        self.store = Store(settings.model_directory)
        self._settings = settings
        self._search_path = environment.get("PATH")
        self._loader = Loader(self.store, settings, models, log_directory=log_directory, server_path=self._server_path)
        self._residency = residency
        self._downloads = Downloads(
            name,
            self.store,
            residency,
            default_quantization=settings.default_quantization,
            log_directory=log_directory,
            environment=environment,
            find_hub_token=find_hub_token,
        )

    def capabilities(self, model_format: str | None = None) -> Capabilities:
        """What the engine for this format does."""
        return CAPABILITIES[engine_of(model_format, self._settings.engine)]

    async def demand_configured(self) -> None:
        """Needs nothing to be asked."""

    async def health(self) -> HealthStatus:
        """Ready when the engine of the settings is there; nothing is imported or run to find that out."""
        engine = self._settings.engine
        server = self._server_path()
        engines = installed_engines(server)
        ready = engine in engines
        reason = None if ready else why_missing(engine, server)
        whole: list[Manifest] = []
        try:
            whole, _ = await asyncio.to_thread(self.store.survey)
        except ConfigError as error:
            ready, reason = False, error.message
        return HealthStatus(
            configured=True,
            ready=ready,
            available_models=len(whole),
            reason=reason,
            loaded=[model.name for model in self._residency.models if model.worker is not None],
            device="cpu" if self._settings.device == "auto" else self._settings.device,
            engines=engines,
            model_directory=str(self.store.directory),
        )

    async def list_models(self) -> list[LocalModel]:
        """What is in the model directory."""
        whole, _ = await asyncio.to_thread(self.store.survey)
        return [one.local_model(backend=self.name, loaded=self._is_loaded(one)) for one in whole]

    async def damaged(self) -> list[DamagedModel]:
        """What is in the model directory but can't be used."""
        # A seldom thing; its class takes milliseconds to make.
        from llmspell_protocol.areas.model import DamagedModel

        _, damaged = await asyncio.to_thread(self.store.survey)
        return [DamagedModel(id=one.id, backend=self.name, path=one.shown_path, reason=one.reason) for one in damaged]

    async def find(self, spec: ModelSpec) -> FoundModel | None:
        """The model, if it is in the model directory."""
        try:
            manifest = await asyncio.to_thread(self.store.find, spec)
        except ModelLoadFailed:
            return FoundModel()
        return None if manifest is None else installed(manifest)

    async def resolve(self, spec: ModelSpec) -> InstalledModel:
        """The model with its manifest; raises `ModelNotFound`."""
        return installed(await self._find(spec))

    async def info(self, spec: ModelSpec) -> ModelInfo:
        """What the manifest says; raises `ModelNotFound`, or `ModelLoadFailed` where the model is damaged."""
        manifest = await self._find(spec)
        if (damage := await asyncio.to_thread(self.store.damage, manifest)) is not None:
            raise damage.error()
        path = str(self.store.path(manifest))
        return manifest.info(
            backend=self.name, loaded=self._is_loaded(manifest), path=path, embed_tokens=self._embed_tokens(manifest)
        )

    def pull(
        self, spec: ModelSpec, *, force: bool, quantization: str | None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress]:
        """Downloads a model; one that was loaded before its files were replaced is loaded anew when next used."""
        return self._downloads.pull(spec, force=force, quantization=quantization, public_only=public_only)

    def import_model(
        self, path: Path, *, name: str, variant: str | None, owner: str, sha256: str | None, force: bool
    ) -> AsyncGenerator[PullProgress]:
        """Uses a model that is on this machine already as it is; yields and raises as `Puller.take`."""
        return self._downloads.take(path, name=name, variant=variant, owner=owner, sha256=sha256, force=force)

    async def search(self, words: str, limit: int) -> list[HubRepository]:
        """GGUF repositories of the hub, which this backend can pull; raises as `Puller.search`."""
        return await self._downloads.search(words, limit)

    async def remove(self, spec: ModelSpec, *, force: bool) -> int:
        """Deletes a model; raises `ModelInUse` while it answers here, or is loaded by another kernel."""
        manifest = await self._find(spec)
        await self._residency.unload(self._key(manifest), force=force)
        return await asyncio.to_thread(self.store.remove, manifest, force=force)

    async def verify(self, spec: ModelSpec) -> VerifiedModel:
        """Reads and compares every file."""
        manifest = await self._find(spec)
        return await asyncio.to_thread(self.store.verify, manifest)

    async def load(self, spec: ModelSpec, options: LoadOptions) -> LoadedModel:
        """Makes a model ready to answer, or changes the keep-alive of one that is."""
        manifest = await self._find(spec)
        self._check_drafts(manifest, options.speculation)
        wanted = self._blueprint(
            manifest, options.device, options.speculation, num_ctx=options.num_ctx, context_wish="exactly"
        )
        model = await self._residency.load(wanted, keep_alive_s=options.keep_alive_s, pin=options.pin)
        return self._loaded(model)

    async def unload(self, spec: ModelSpec, *, force: bool) -> int:
        """Ends the model's worker; 0 when it was not loaded."""
        return await self._residency.unload(self._key(await self._find(spec)), force=force)

    async def loaded(self) -> list[LoadedModel]:
        """The models in memory and those being loaded."""
        return [self._loaded(model) for model in self._residency.models if self._is_mine(model)]

    async def chat(
        self, spec: ModelSpec, request: ChatRequest, *, client: str, found: FoundModel | None = None
    ) -> AsyncGenerator[ChatChunk, None]:
        """Streams a reply; the last chunk carries the result.

        Raises:
            ModelNotFound, Busy, OutOfMemory, ModelLoadFailed, WorkerCrashed, ContextLengthExceeded, SchemaUnsupported,
            Unsupported, Timeout: as their classes say.
        """
        manifest = await self._manifest(spec, found)
        # Files that do not say what they are for are asked when they are loaded.
        if manifest.capabilities and "chat" not in manifest.capabilities:
            raise no_chat(manifest.id, manifest.capabilities)
        options = self._resolved(request.options)
        self._check_drafts(manifest, request.speculation)
        blueprint = self._blueprint_for_chat(manifest, request)
        resident = self._residency.get(blueprint.name)
        if resident is None or resident.worker is None:
            yield ChatChunk(loading=True)
        elif not resident.suits(blueprint):
            yield ChatChunk(loading=True, notice=f"{manifest.id} is loaded anew {blueprint.wish}")
        async with self._residency.use(blueprint, client=client) as turn:
            asked = replace(request, model=manifest.id, options=options)
            async with aclosing(turn.worker.chat(asked)) as chunks:
                while (chunk := await self._in_time(self._next(chunks, manifest), manifest)) is not None:
                    yield chunk if chunk.result is None else self._completed(chunk, turn)

    async def close(self) -> None:
        """Ends the pulls; the workers belong to the residency."""
        await self._downloads.close()
        await self._loader.close()

    async def _manifest(self, spec: ModelSpec, found: FoundModel | None) -> Manifest:
        return found.manifest if isinstance(found, InstalledModel) else await self._find(spec)

    async def _find(self, spec: ModelSpec) -> Manifest:
        manifest = await asyncio.to_thread(self.store.find, spec)
        if manifest is not None:
            return manifest
        # Only an error needs the catalog.
        from llmspell_providers.library.catalog import Catalog

        catalog = Catalog.load()
        if catalog.find(spec) is None:
            raise catalog.unknown(spec)
        name = spec.with_backend(self.name)
        raise ModelNotFound(
            f"Model '{spec.name}' not found: {self.name} can pull it, but it is not installed",
            hint=f"llmspell model pull {name}",
            details={"model": spec.name, "backend": self.name},
        )

    def _blueprint_for_chat(self, manifest: Manifest, request: ChatRequest) -> Blueprint[ModelProcess]:
        """As `_blueprint`, but what a load needs is not worked out anew where the model is there: a token waits."""
        num_ctx = request.options.num_ctx
        resident = self._residency.get(self._key(manifest))
        is_there = resident is not None and resident.worker is not None
        if is_there and request.device is None and request.speculation is None:
            assert resident is not None
            if num_ctx is None or num_ctx <= resident.blueprint.context_size:
                return resident.blueprint
        return self._blueprint(manifest, request.device, request.speculation, num_ctx=num_ctx, context_wish="at_least")

    def _blueprint(
        self,
        manifest: Manifest,
        device: str | None = None,
        speculation: Wanted | None = None,
        *,
        num_ctx: int | None = None,
        context_wish: Wish = "any",
        embeds: bool = False,
    ) -> Blueprint[ModelProcess]:
        name = self._key(manifest)
        return self._loader.blueprint(
            manifest,
            name=name,
            budget_bytes=self._residency.budget_bytes(),
            room=self._residency.room(name),
            device=device and device.lower(),
            speculation=speculation,
            num_ctx=num_ctx,
            context_wish=context_wish,
            embeds=embeds,
        )

    def _check_drafts(self, manifest: Manifest, speculation: Wanted | None) -> None:
        """Refuses drafts by name that a model cannot have, before one that is loaded without them has to go."""
        self.capabilities(manifest.format).demand_speculation(speculation, self.name)
        if speculation == "ngram" and manifest.capabilities and "chat" not in manifest.capabilities:
            raise nothing_to_draft(manifest.id)

    def _turn(
        self, manifest: Manifest, client: str, *, embeds: bool = False
    ) -> AbstractAsyncContextManager[Turn[ModelProcess]]:
        return self._residency.use(self._blueprint(manifest, embeds=embeds), client=client)

    async def _next(self, chunks: AsyncGenerator[ChatChunk, None], manifest: Manifest) -> ChatChunk | None:
        try:
            return await anext(chunks, None)
        except ContextLengthExceeded as error:
            raise with_way_out(error, manifest.id, manifest.context_length) from None

    async def _in_time(self, answer: Awaitable[T], manifest: Manifest) -> T:
        """What a worker answers, or its next piece.

        Around each step: a long reply may take its time, and its reader too, but a worker may not fall silent.
        """
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise Timeout(
                f"'{manifest.id}' said nothing for {seconds} s",
                hint=f"raise providers.{self.name}.timeout_seconds",
                details={"timeout_s": seconds, "model": manifest.id},
            ) from None

    def _resolved(self, options: SamplingOptions) -> SamplingOptions:
        """The request's options, filled up from the settings; the context is the load's."""
        given = {name: value for name in SAMPLING if (value := getattr(options, name)) is not None}
        defaults = {name: getattr(self._settings, name) for name in SAMPLING}
        return SamplingOptions(**{**defaults, **given}, num_beams=options.num_beams)

    def _completed(self, chunk: ChatChunk, turn: Turn[ModelProcess]) -> ChatChunk:
        """The last chunk with what its worker does not know."""
        assert chunk.result is not None
        timings = replace(chunk.result.timings, queue_ms=turn.queue_ms, load_ms=turn.load_ms)
        context_size = turn.worker.loaded.context_size
        result = replace(chunk.result, timings=timings, backend=self.name, context_size=context_size)
        return replace(chunk, result=result)

    def _embed_tokens(self, manifest: Manifest) -> int:
        """The longest text that is embedded or scored at once: as the model is loaded, else as it will be."""
        model = self._residency.get(self._key(manifest))
        if model is not None and model.worker is not None:
            context = model.worker.loaded.context_size
        else:
            wanted = self._settings.context_size
            context = min(USUAL if wanted == "auto" else wanted, manifest.context_length or USUAL)
        chats = not manifest.capabilities or "chat" in manifest.capabilities
        # A model that chats reads in short steps, for others' streams; only PyTorch's make no difference.
        return min(context, self._settings.batch_size) if chats and manifest.format == "gguf" else context

    def _server_path(self) -> Path | None:
        return find_server(self._settings.server_path, self._search_path)

    def _key(self, manifest: Manifest) -> str:
        return f"{manifest.id}@{self.name}"

    def _is_mine(self, model: Resident[ModelProcess]) -> bool:
        return model.name.endswith(f"@{self.name}")

    def _is_loaded(self, manifest: Manifest) -> bool:
        model = self._residency.get(self._key(manifest))
        return model is not None and model.worker is not None

    def _loaded(self, model: Resident[ModelProcess]) -> LoadedModel:
        is_next = self._residency.next_to_go() is model
        return loaded_model(model, backend=self.name, device=self._settings.device, next_to_go=is_next)
