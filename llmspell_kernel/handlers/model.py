"""`model_request`: every action of the models service, translated to contents as the protocol's tables have them."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from llmspell_kernel.context import Content, Reply, Request
from llmspell_kernel.relay import relay
from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.validate import validate
from llmspell_protocol.errors import Forbidden
from llmspell_protocol.models import ChatRequest, ChatResult, HealthStatus, PullResult, to_content
from llmspell_protocol.requests import (
    Empty,
    ModelAvailable,
    ModelEmbed,
    ModelInstallOllama,
    ModelList,
    ModelLoad,
    ModelNamed,
    ModelPull,
    ModelRemove,
    ModelStatus,
    ModelTokenize,
    ModelUnload,
    ModelVerify,
)


class ModelHandler:
    """Answers `model_request`."""

    def __init__(self, models: ModelsService) -> None:
        self._models = models

    async def __call__(self, request: Request) -> Reply:
        """The reply to one request; the contents are those of the table in `protocol/README.md`."""
        match validate(request):
            case ModelPull() as wanted:
                return await self._pull(request, wanted)
            case ChatRequest() as wanted:
                return await self._chat(request, wanted)
            case ModelEmbed() as wanted:
                return await self._embed(request, wanted)
            case ModelTokenize(model=model, text=text):
                tokens = await self._models.tokenize(model, text)
                return Reply({"tokens": tokens, "count": len(tokens)})
            case ModelLoad(model=model, keep_alive=keep_alive, pin=pin, device=device):
                request.progress({"phase": "loading"})
                loaded = await self._models.load(model, keep_alive=keep_alive, pin=pin, device=device)
                return Reply(to_content(loaded))
            case ModelUnload(model=name, force=force):
                return Reply({"unloaded": to_content(await self._models.unload(name, force=force))})
            case Empty():
                return Reply(to_content(await self._models.ps()))
            case wanted:
                return Reply(await self._about_files(wanted))

    async def _about_files(self, wanted: Any) -> Content:
        """The actions about what is or could be on disk."""
        match wanted:
            case ModelList(backend=backend):
                listing = await self._models.list_models(backend)
                return {**to_content(listing), "count": len(listing.models)}
            case ModelStatus(backend=backend):
                backends = await self._models.status(backend)
                return {"backends": {name: _health(name, health) for name, health in backends.items()}}
            case ModelNamed(model=model):
                return _plain(await self._models.info(model))
            case ModelRemove(model=model, force=force):
                return {**to_content(await self._models.remove(model, force=force)), "removed": True}
            case ModelAvailable(backend=backend, recommended=recommended):
                models = await self._models.available(backend, recommended=recommended)
                return {"models": to_content(models), "count": len(models)}
            case ModelVerify(model=name):
                verified = await self._models.verify(name)
                return {"models": verified, "ok": all(one["ok"] for one in verified)}
            case ModelInstallOllama(execute=execute):
                return _plain(await self._models.install_ollama(execute=execute))
        raise TypeError(f"no answer to {type(wanted).__name__}")

    async def _pull(self, request: Request, wanted: ModelPull) -> Reply:
        result: PullResult | None = None
        if not request.caller.local and wanted.model.strip().startswith("file:"):
            raise Forbidden(
                f"{wanted.model} names a file of the kernel's machine, which this {request.caller.kind} may not read",
                hint="scripts need runtime.security.allow_file_access, clients a kernel on their own machine",
            )
        progress = self._models.pull(wanted.model, force=wanted.force, quantization=wanted.quantization)
        async with aclosing(progress):
            async for item in progress:
                content = _plain(item)
                del content["result"]
                for key in ("files", "reason"):  # told once
                    if not content[key]:
                        del content[key]
                request.progress(content)
                result = item.result or result
        assert result is not None  # the last item of a pull that did not raise carries it
        was_there = result.download_status == "already_present"
        message = f"Model {result.model_id} {'is already present' if was_there else 'downloaded successfully'}"
        return Reply({**to_content(result), "percent_complete": 100.0, "message": message})

    async def _chat(self, request: Request, wanted: ChatRequest) -> Reply:
        result: ChatResult | None = None
        chunks = self._models.chat(wanted, client=request.caller.client)
        async with aclosing(chunks):
            async for chunk in chunks:
                relay(request, chunk, stream=wanted.stream)
                result = chunk.result or result
        assert result is not None  # the last chunk of a reply that did not raise carries it
        return Reply(to_content(result))

    async def _embed(self, request: Request, wanted: ModelEmbed) -> Reply:
        vectors = await self._models.embed(
            list(wanted.input), model=wanted.model, normalize=wanted.normalize, client=request.caller.client
        )
        content = {
            "model": vectors.model,
            "backend": vectors.backend,
            "count": vectors.count,
            "dimensions": vectors.dimensions,
            "shape": [vectors.count, vectors.dimensions],
            "dtype": "float32",
            "normalized": wanted.normalize,
            "usage": to_content(vectors.usage),
        }
        return Reply(content, [vectors.data])


def _plain(value: Any) -> Content:
    content: Content = to_content(value)
    return content


def _health(name: str, health: HealthStatus) -> Content:
    """One backend as `model status` reports it: a daemon (it has an address) is running, our own one is ready."""
    content = _plain(health)
    ready = content.pop("ready")
    mine = {
        "loaded": content.pop("loaded"),
        "device": content.pop("device"),
        "engines": content.pop("engines"),
        "model_directory": content.pop("model_directory"),
    }
    daemon = {key: content.pop(key) for key in ("version", "latency_ms", "base_url")}
    if name == "ollama" or health.base_url is not None:
        return {**content, "running": ready, **daemon}
    return {**content, "ready": ready, **mine}
