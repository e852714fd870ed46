"""What there is of models: installed, in the catalog, in memory, and how the backends are. Knows no messages.

Backends are asked side by side, and one that is down never hides the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary

from llmspell_protocol.areas.found_models import ImportableModel, ModelImportableReply, ModelSearchReply
from llmspell_protocol.areas.model import (
    BackendError,
    DaemonHealth,
    EngineHealth,
    ModelAvailableReply,
    ModelInstallOllamaReply,
    ModelListReply,
    ModelPsReply,
    ModelRemoveReply,
    ModelStatusReply,
    ModelUnloadReply,
    ModelVerifyReply,
    UnloadedModel,
    VerifiedModel,
)
from llmspell_protocol.backends import LOCAL_BACKENDS
from llmspell_protocol.errors import InvalidRequest, LlmspellError
from llmspell_protocol.model_origins import SHOWN, Origin
from llmspell_protocol.models import HealthStatus, LocalModel
from llmspell_protocol.pulls import PullProgress
from llmspell_providers.base import Provider
from llmspell_providers.library.names import as_text, spec_name
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from llmspell_providers.tables import backend_not_configured

if TYPE_CHECKING:
    from llmspell_providers.candle.provider import CandleProvider

T = TypeVar("T")
_LONGEST_SEARCH, _MOST_FOUND = 200, 100
"""Characters and repositories."""

log = logging.getLogger(__name__)

_GLANCE_S = 1.0
"""How long a list of everything waits for a server."""
_PATIENCE_S = 10.0
"""How long the list of one server may take."""
_KEPT_S = 60.0


class Inventory:
    """The part of the models service that only `model_request` needs."""

    def __init__(self, registry: ProviderRegistry) -> None:
        self._registry = registry
        self._offered: WeakKeyDictionary[Provider, tuple[float, list[LocalModel]]] = WeakKeyDictionary()

    async def list_models(self, backend: str | None = None) -> ModelListReply:
        """The models of one backend or all: what is installed, and what configured servers offer.

        One backend that can't answer raises; of all it is listed.
        """
        registry = self._registry
        if backend is not None and backend != "all":
            names = [registry.table_name(backend)]
            models: Sequence[LocalModel] = await self._listed(names[0], _PATIENCE_S)
            errors: Sequence[BackendError] = ()
        else:
            names = [*registry.local, *registry.remote]
            models, found = await _all({name: self._listed(name, _GLANCE_S) for name in names})
            errors = [
                each
                for each in found
                # Who has no Ollama need not be told at each look, and some vendors have no list.
                if each.code != "unsupported" and not registry.is_absent(each.backend)
            ]
        own = [registry.get(name) for name in names if not registry.is_remote(name)]
        damaged, _ = await _all({one.name: one.damaged() for one in own})
        return ModelListReply(models=models, errors=errors, count=len(models), damaged=damaged)

    async def offered(self) -> list[LocalModel]:
        """What the configured servers list, of those that answer at once or have answered within the last minute."""
        models, _ = await _all({name: self._listed(name, _GLANCE_S) for name in self._registry.remote})
        return models

    async def _listed(self, name: str, deadline_s: float) -> list[LocalModel]:
        """What one backend has; a server's list is kept for a minute."""
        if not self._registry.is_remote(name):
            return await self._registry.get(name).list_models()
        provider = self._registry.get(name)
        asked_at, models = self._offered.get(provider, (-_KEPT_S, []))
        if time.monotonic() - asked_at >= _KEPT_S:
            models = await self._registry.offered(name, deadline_s)
            self._offered[provider] = (time.monotonic(), models)
        return models

    async def status(self, backend: str | None = None) -> ModelStatusReply:
        """The health of one backend or all, by name; `ollama` and `candle` are always there.

        Raises:
            BackendNotConfigured: `backend` is neither configured nor known.
        """
        if backend is not None and backend != "all":
            names = [backend]
        else:
            kinds = {self._registry.kind(name) for name in self._registry.local}
            missing = (kind for kind in LOCAL_BACKENDS if kind not in kinds)
            names = [*self._registry.local, *missing, *self._registry.remote, *await self._registry.keyed()]
        healths = await asyncio.gather(*(self._health(name) for name in names))
        shown = map(_as_told, names, healths)
        return ModelStatusReply(backends=dict(zip(names, shown, strict=True)))

    async def available(
        self, backend: str | None = None, *, recommended: bool = False, fits: bool = False
    ) -> ModelAvailableReply:
        """What can be pulled, from the packaged catalog; no network is asked, only what is installed here.

        `fits`: only what this machine's memory is enough for, as far as that can be told.

        Raises:
            BackendNotConfigured: the catalog has no such backend.
        """
        # The catalog is a file to parse; most requests don't need it.
        from llmspell_providers.library.catalog import Catalog
        from llmspell_providers.residency.expected import expected_bytes

        kinds = LOCAL_BACKENDS if backend is None or backend == "all" else (backend,)
        if not set(kinds) <= set(LOCAL_BACKENDS):
            raise backend_not_configured(kinds[0])
        installed = await asyncio.gather(*(self._installed(kind) for kind in kinds))
        catalog, budget = Catalog.load(), self._registry.residency.budget_bytes()
        lines = [
            line
            for kind, names in zip(kinds, installed, strict=True)
            for line in catalog.available(kind, names, memory_of=expected_bytes, budget_bytes=budget)
        ]
        models = [line for line in lines if (line.recommended or not recommended) and (line.fits or not fits)]
        return ModelAvailableReply(models=models, count=len(models), budget_bytes=budget)

    async def pull(
        self, model: str, *, force: bool = False, quantization: str | None = None, public_only: bool = False
    ) -> AsyncGenerator[PullProgress]:
        """Downloads a model; the last item carries the result. Closing the iterator ends the download.

        `public_only`: an address may not lead to this machine or into its network.
        """
        provider, spec = await self._registry.for_pull(ModelSpec.parse(model))
        progress = provider.pull(spec, force=force, quantization=quantization, public_only=public_only)
        async with aclosing(progress):
            async for item in progress:
                yield item

    async def importable(self, paths: Sequence[str], origin: Origin | None) -> ModelImportableReply:
        """What an import could take, at or below whole paths of this machine."""
        # A seldom request.
        from llmspell_providers.library.importable import importable_in

        found = await asyncio.to_thread(importable_in, [Path(path) for path in paths], origin)
        store = self._own().store
        models = [
            ImportableModel(
                id=one.id,
                path=as_text(str(one.path)),
                size_bytes=one.size_bytes,
                files=one.files,
                owner=one.owner,
                installed=store.place(one.name, one.variant).is_dir(),
                problem=one.problem,
                system_prompt=one.system_prompt,
                parameters=one.parameters,
            )
            for one in found
        ]
        return ModelImportableReply(models=models, count=len(models))

    async def import_model(
        self, path: str, *, name: str | None, origin: Origin | None, force: bool
    ) -> AsyncGenerator[PullProgress]:
        """Uses a model of this machine as it is; the last item carries the result.

        Raises:
            BackendNotConfigured: there is no candle, whose models these become.
            InvalidRequest: the path or the name can't be used, or another model has this name.
            ModelLoadFailed, ModelNotFound: the file is no model, or is not there.
        """
        place = Path(path)
        spec = ModelSpec.parse(name) if name else ModelSpec.parse(f"file://{quote(path)}")
        if name and (spec.source is not None or spec.backend is not None):
            raise InvalidRequest(f"'{name}' is no name for a model", hint="write NAME or NAME:VARIANT")
        digest = place.name.removeprefix("sha256-") if origin == "ollama" else None
        progress = self._own().import_model(
            place,
            name=spec_name(spec),
            variant=spec.variant if name else None,
            owner=SHOWN[origin] if origin else f"the owner of {as_text(path)}",
            sha256=digest,
            force=force,
        )
        async with aclosing(progress):
            async for item in progress:
                if item.result is not None and origin == "ollama":
                    # What Ollama's models have is read for them alone.
                    from llmspell_providers.library.left_behind import left_behind

                    warnings = await asyncio.to_thread(left_behind, place, item.result.model_id)
                    item = replace(item, result=replace(item.result, warnings=warnings))
                yield item

    async def search(self, words: str, limit: int) -> ModelSearchReply:
        """What the hub has for some words.

        Raises:
            InvalidRequest: there are none, or the limit makes no sense.
            SourceUnavailable: the hub can't be reached.
        """
        if not words.strip() or not words.isprintable() or len(words) > _LONGEST_SEARCH:
            raise InvalidRequest(f"words: one line of 1 to {_LONGEST_SEARCH} characters is needed")
        if not 1 <= limit <= _MOST_FOUND:
            raise InvalidRequest(f"limit: must be from 1 to {_MOST_FOUND}, got {limit}")
        found = await self._own().search(words.strip(), limit)
        return ModelSearchReply(repositories=found, count=len(found))

    def _own(self) -> CandleProvider:
        """The in-house backend, the only one that uses files as they are."""
        from llmspell_providers.candle.provider import CandleProvider

        provider = self._registry.get("candle")
        assert isinstance(provider, CandleProvider)  # the type that a table of this kind makes
        return provider

    async def remove(self, model: str, *, force: bool = False) -> ModelRemoveReply:
        """Deletes a model, unloading it first.

        Raises:
            InvalidRequest: several backends have a model of this name.
            ModelInUse: it answers a request, and `force` is not given.
        """
        provider, spec, found = await self._registry.locate_only(ModelSpec.parse(model))
        found = found or await provider.find(spec)
        model_id = found.id if found is not None and found.id is not None else (await provider.info(spec)).id
        freed = await provider.remove(spec, force=force)
        return ModelRemoveReply(model_id=model_id, backend=provider.name, removed=True, bytes_freed=freed)

    async def verify(self, model: str | None = None) -> ModelVerifyReply:
        """Compares the files of one model, or of all in-house ones, with their manifests."""
        if model is not None:
            provider, spec, _ = await self._registry.locate(ModelSpec.parse(model))
            verified = [await provider.verify(spec)]
        else:
            own = [self._registry.get(name) for name in self._registry.local if self._registry.kind(name) == "candle"]
            verified = [await _verified(provider, model_id) for provider in own for model_id in await _ids(provider)]
        return ModelVerifyReply(models=verified, ok=all(one.ok for one in verified))

    async def ps(self) -> ModelPsReply:
        """The models in memory, of all backends."""
        # A remote server does not tell what it has in memory.
        providers = {one.name: one for one in self._registry.made if not self._registry.is_remote(one.name)}
        for name in self._registry.local:
            providers.setdefault(name, self._registry.get(name))
        models, errors = await _all({name: one.loaded() for name, one in providers.items()})
        residency = self._registry.residency
        return ModelPsReply(
            models=models,
            budget_bytes=residency.budget_bytes(),
            used_bytes=residency.used_bytes,
            available_bytes=residency.available_bytes(),
            errors=errors,
        )

    async def unload(self, model: str | None = None, *, force: bool = False) -> ModelUnloadReply:
        """Ends one loaded model, or all; a name that is not loaded frees nothing and is no error.

        Raises:
            ModelInUse: it answers a request, and `force` is not given; with all, the others are ended all the same.
        """
        if model is not None:
            provider, spec, _ = await self._registry.locate(ModelSpec.parse(model or self._registry.default_model()))
            freed = await provider.unload(spec, force=force)
            return ModelUnloadReply(unloaded=[UnloadedModel(model=spec.name, backend=provider.name, bytes_freed=freed)])
        unloaded: list[UnloadedModel] = []
        in_use: LlmspellError | None = None
        for resident in (await self.ps()).models:
            spec = ModelSpec.parse(resident.model).with_backend(resident.backend)
            try:
                freed = await self._registry.get(resident.backend).unload(spec, force=force)
            except LlmspellError as error:
                in_use = error
            else:
                unloaded.append(UnloadedModel(model=resident.model, backend=resident.backend, bytes_freed=freed))
        if in_use is not None:
            in_use.details["unloaded"] = [one.model for one in unloaded]
            raise in_use
        return ModelUnloadReply(unloaded=unloaded)

    async def install_ollama(self, *, execute: bool) -> ModelInstallOllamaReply:
        """How Ollama is installed on this machine; `execute` does it."""
        from llmspell_providers.ollama.install import install_ollama

        return await install_ollama(execute=execute)

    async def _health(self, name: str) -> HealthStatus:
        if not self._registry.has(name):
            if name not in LOCAL_BACKENDS:
                raise backend_not_configured(name)
            return HealthStatus(configured=False, ready=False, reason="not configured")
        try:
            return await self._registry.get(name).health()
        except LlmspellError as error:
            return HealthStatus(configured=True, ready=False, reason=error.message)
        except Exception as error:
            log.exception("%s: its health could not be told", name)
            reason = f"a defect of llmspell: {type(error).__name__}, see the kernel's log"
            return HealthStatus(configured=True, ready=False, reason=reason)

    async def _installed(self, kind: str) -> frozenset[str]:
        """Ids and bare names of what a backend has; nothing when it can't be asked."""
        if not self._registry.has(kind):
            return frozenset()
        provider = self._registry.get(kind)
        answer = await _caught(provider.list_models())
        if isinstance(answer, LlmspellError):
            return frozenset()
        return frozenset(name for local in answer for name in (local.id, local.id.partition(":")[0]))


async def _ids(provider: Provider) -> list[str]:
    return [*(one.id for one in await provider.list_models()), *(one.id for one in await provider.damaged())]


async def _verified(provider: Provider, model_id: str) -> VerifiedModel:
    """The files of an installed model; of one without a usable manifest there are none to compare."""
    try:
        return await provider.verify(ModelSpec.parse(model_id).with_backend(provider.name))
    except LlmspellError as error:
        return VerifiedModel(model=model_id, ok=False, files=(), reason=error.details.get("reason", error.message))


async def _all(asked: Mapping[str, Awaitable[list[T]]]) -> tuple[list[T], list[BackendError]]:
    """What the backends answer, asked side by side, and the errors of those that can't."""
    answers = await asyncio.gather(*map(_caught, asked.values()))
    found: list[T] = []
    errors: list[BackendError] = []
    for backend, answer in zip(asked, answers, strict=True):
        if isinstance(answer, LlmspellError):
            errors.append(BackendError(backend=backend, code=answer.code, message=answer.message))
        else:
            found += answer
    return found, errors


async def _caught(asked: Awaitable[list[T]]) -> list[T] | LlmspellError:
    try:
        return await asked
    except LlmspellError as error:
        return error


def _as_told(name: str, health: HealthStatus) -> DaemonHealth | EngineHealth:
    """One backend as `model status` tells of it: a daemon (it has an address) is running, our own one is ready."""
    if name == "ollama" or health.base_url is not None:
        return DaemonHealth(
            configured=health.configured,
            available_models=health.available_models,
            reason=health.reason,
            running=health.ready,
            version=health.version,
            latency_ms=health.latency_ms,
            base_url=health.base_url,
        )
    return EngineHealth(
        configured=health.configured,
        available_models=health.available_models,
        reason=health.reason,
        ready=health.ready,
        loaded=health.loaded,
        device=health.device,
        engines=health.engines,
        model_directory=health.model_directory,
    )
