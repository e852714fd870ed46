"""`model_request`: one method an action, translated for the models service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from llmspell_kernel.area_handler import AreaHandler
from llmspell_kernel.pull_reach import demand_files, demand_reach
from llmspell_kernel.relay import relay
from llmspell_kernel.request import Content, Request
from llmspell_kernel.services.hooked_models import (
    changed_chat,
    changed_embed,
    changed_rerank,
    chat_data,
    given_chat,
    no_scores,
    no_vectors,
)
from llmspell_kernel.services.hooks.component import Component
from llmspell_kernel.services.hooks.service import HooksService
from llmspell_kernel.services.hooks.work import HookedWork
from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.areas.action import Empty
from llmspell_protocol.areas.found_models import (
    ModelImport,
    ModelImportable,
    ModelImportableReply,
    ModelSearch,
    ModelSearchReply,
)
from llmspell_protocol.areas.model import (
    ModelAvailable,
    ModelAvailableReply,
    ModelInstallOllama,
    ModelInstallOllamaReply,
    ModelListReply,
    ModelLoad,
    ModelNamed,
    ModelProvidersReply,
    ModelPsReply,
    ModelPull,
    ModelPullReply,
    ModelRemove,
    ModelRemoveReply,
    ModelStatusReply,
    ModelUnload,
    ModelUnloadReply,
    ModelVerify,
    ModelVerifyReply,
    OfBackend,
)
from llmspell_protocol.areas.model_texts import (
    ModelEmbed,
    ModelEmbedReply,
    ModelRerank,
    ModelRerankReply,
    ModelTokenize,
    ModelTokenizeReply,
)
from llmspell_protocol.content import to_content
from llmspell_protocol.models import ChatRequest, ChatResult, Embeddings, LoadedModel, ModelInfo
from llmspell_protocol.pulls import PullProgress, PullResult
from llmspell_protocol.scores import Scores

_DOWNLOADED = "downloaded successfully"

if TYPE_CHECKING:
    from llmspell_kernel.services.notebooks import Notebooks


class ModelHandler(AreaHandler):
    """Answers `model_request`."""

    def __init__(
        self, models: ModelsService, hooks: HooksService, notebooks: Callable[[], Notebooks | None] = lambda: None
    ) -> None:
        self._models = models
        self._notebooks = notebooks
        self._hooks = hooks
        self._inventory = models.inventory

    async def list(self, request: Request, wanted: OfBackend) -> ModelListReply:
        """Installed models."""
        return await self._inventory.list_models(wanted.backend)

    async def pull(self, request: Request, wanted: ModelPull) -> ModelPullReply:
        """A download, with its progress."""
        demand_reach(request.caller, wanted.model)
        progress = self._inventory.pull(
            wanted.model,
            force=wanted.force,
            quantization=wanted.quantization,
            public_only="private" not in request.caller.reach,
        )
        result = await _followed(request, progress)
        was_there = result.download_status == "already_present"
        return _pulled(result, f"Model {result.model_id} {'is already present' if was_there else _DOWNLOADED}")

    async def importable(self, request: Request, wanted: ModelImportable) -> ModelImportableReply:
        """What is on this machine already."""
        for path in wanted.paths:
            demand_files(request.caller, path)
        return await self._inventory.importable(wanted.paths, wanted.origin)

    async def import_model(self, request: Request, wanted: ModelImport) -> ModelPullReply:
        """A model that is on this machine, as it is."""
        demand_files(request.caller, wanted.path)
        progress = self._inventory.import_model(wanted.path, name=wanted.name, origin=wanted.origin, force=wanted.force)
        result = await _followed(request, progress)
        was_there = result.download_status == "already_present"
        return _pulled(result, f"Model {result.model_id} {'is already present' if was_there else 'imported'}")

    async def search(self, request: Request, wanted: ModelSearch) -> ModelSearchReply:
        """What the hub has."""
        return await self._inventory.search(wanted.words, wanted.limit)

    async def status(self, request: Request, wanted: OfBackend) -> ModelStatusReply:
        """Health of the backends."""
        return await self._inventory.status(wanted.backend)

    async def providers(self, request: Request, wanted: Empty) -> ModelProvidersReply:
        """The configured providers."""
        return await self._models.providers()

    async def info(self, request: Request, wanted: ModelNamed) -> ModelInfo:
        """Everything about one model."""
        return await self._models.info(wanted.model)

    async def available(self, request: Request, wanted: ModelAvailable) -> ModelAvailableReply:
        """The catalog."""
        return await self._inventory.available(wanted.backend, recommended=wanted.recommended, fits=wanted.fits)

    async def install_ollama(self, request: Request, wanted: ModelInstallOllama) -> ModelInstallOllamaReply:
        """How to install Ollama, or doing it."""
        return await self._inventory.install_ollama(execute=wanted.execute)

    async def load(self, request: Request, wanted: ModelLoad) -> LoadedModel:
        """A model into memory."""
        request.progress({"phase": "loading"})
        return await self._models.load(
            wanted.model,
            keep_alive=wanted.keep_alive,
            pin=wanted.pin,
            device=wanted.device,
            speculation=wanted.speculation,
            num_ctx=wanted.num_ctx,
        )

    async def ps(self, request: Request, wanted: Empty) -> ModelPsReply:
        """What is in memory."""
        found = await self._inventory.ps()
        notebooks = self._notebooks()
        if not notebooks:
            return found
        # Few kernels have notebooks.
        from llmspell_kernel.services.notebook_figures import with_notebooks

        return replace(found, models=with_notebooks(found.models, notebooks, self._models.users))

    async def chat(self, request: Request, wanted: ChatRequest) -> ChatResult:
        """A streamed answer."""
        if not wanted.model:
            # The model that the client has chosen for what names none.
            wanted = replace(wanted, model=request.root.options.model or "")

        async def work(data: Mapping[str, Any]) -> ChatResult:
            return await self._chat(request, changed_chat(wanted, data))

        return await self._hooks.around(
            request,
            HookedWork(
                before="BeforeModelExecution",
                after="AfterModelExecution",
                error="ModelError",
                component=Component("model", wanted.model),
                data=chat_data(wanted)
                if self._hooks.registered("BeforeModelExecution", request)
                else {"model": wanted.model},
                work=work,
                shown=lambda result: result.message.content,
                details=lambda result: {"usage": to_content(result.usage), "model": result.model},
                made=given_chat,
                target="model",
                check=lambda data: changed_chat(wanted, data),
            ),
        )

    async def _chat(self, request: Request, wanted: ChatRequest) -> ChatResult:
        result: ChatResult | None = None
        chunks = self._models.chat(wanted, client=request.caller.client)
        async with aclosing(chunks):
            async for chunk in chunks:
                relay(request, chunk, stream=wanted.stream)
                result = chunk.result or result
        assert result is not None  # the last chunk of a reply that did not raise carries it
        return result

    async def generate(self, request: Request, wanted: ChatRequest) -> ChatResult:
        """A streamed continuation of a prompt."""
        return await self.chat(request, wanted)

    async def embed(self, request: Request, wanted: ModelEmbed) -> ModelEmbedReply:
        """Vectors of texts."""

        async def work(data: Mapping[str, Any]) -> Embeddings:
            asked = changed_embed(wanted, data)
            return await self._models.embed(
                [*asked.input],
                model=asked.model,
                normalize=asked.normalize,
                client=request.caller.client,
                purpose=asked.purpose,
            )

        found = await self._hooks.around(
            request,
            HookedWork(
                before="BeforeModelExecution",
                after="AfterModelExecution",
                error="ModelError",
                component=Component("model", wanted.model or ""),
                data={"model": wanted.model, "input": [*wanted.input]},
                work=work,
                shown=lambda made: {"count": made.count, "dimensions": made.dimensions},
                details=lambda made: {"usage": to_content(made.usage), "model": made.model},
                made=no_vectors,
                target="model",
                check=lambda data: changed_embed(wanted, data),
            ),
        )
        return ModelEmbedReply(
            model=found.model,
            backend=found.backend,
            count=found.count,
            dimensions=found.dimensions,
            shape=(found.count, found.dimensions),
            dtype="float32",
            normalized=wanted.normalize,
            usage=found.usage,
            warnings=found.warnings,
            vectors=found.data,
        )

    async def rerank(self, request: Request, wanted: ModelRerank) -> ModelRerankReply:
        """Scores of texts for a query."""

        async def work(data: Mapping[str, Any]) -> Scores:
            asked = changed_rerank(wanted, data)
            return await self._models.rerank(
                asked.query, [*asked.texts], model=asked.model, client=request.caller.client
            )

        found = await self._hooks.around(
            request,
            HookedWork(
                before="BeforeModelExecution",
                after="AfterModelExecution",
                error="ModelError",
                component=Component("model", wanted.model),
                data={"model": wanted.model, "query": wanted.query, "texts": [*wanted.texts]},
                work=work,
                shown=lambda made: {"count": len(made.scores)},
                details=lambda made: {"usage": to_content(made.usage), "model": made.model},
                made=no_scores,
                target="model",
                check=lambda data: changed_rerank(wanted, data),
            ),
        )
        return ModelRerankReply(model=found.model, backend=found.backend, scores=found.scores, usage=found.usage)

    async def tokenize(self, request: Request, wanted: ModelTokenize) -> ModelTokenizeReply:
        """Token ids of a text."""
        tokens = await self._models.tokenize(wanted.model, wanted.text)
        return ModelTokenizeReply(tokens=tokens, count=len(tokens))

    async def unload(self, request: Request, wanted: ModelUnload) -> ModelUnloadReply:
        """A model, or all, out of memory."""
        return await self._inventory.unload(wanted.model, force=wanted.force)

    async def verify(self, request: Request, wanted: ModelVerify) -> ModelVerifyReply:
        """Files against their manifests."""
        return await self._inventory.verify(wanted.model)

    async def remove(self, request: Request, wanted: ModelRemove) -> ModelRemoveReply:
        """A model off the disk."""
        return await self._inventory.remove(wanted.model, force=wanted.force)


async def _followed(request: Request, progress: AsyncGenerator[PullProgress]) -> PullResult:
    """The result of a pull, whose progress the caller gets."""
    result: PullResult | None = None
    async with aclosing(progress):
        async for item in progress:
            request.progress(_step(item))
            result = item.result or result
    assert result is not None  # the last item of a pull that did not raise carries it
    return result


def _pulled(result: PullResult, message: str) -> ModelPullReply:
    pulled: dict[str, Any] = {item.name: getattr(result, item.name) for item in fields(result)}
    return ModelPullReply(**pulled, percent_complete=100.0, message=message)


def _step(progress: PullProgress) -> Content:
    """What is sent of it: without the result, which is the reply, and without files and reason where it has none."""
    content: Content = to_content(progress)
    del content["result"]
    return {key: value for key, value in content.items() if value or key not in ("files", "reason")}
