"""Models whose workers do what they are told (`wayward_worker`), behind the real provider and its residency."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import LlmspellError
from llmspell_protocol.models import ChatMessage, ChatRequest
from llmspell_providers.candle.process import Launch
from tests.support.gguf_files import gguf_file
from tests.support.settings import settings_from

WORKER = "tests.support.wayward_worker"
DEADLINE_S = 60.0


def launch(directory: Path, model: str = "obedient", **changes: object) -> Launch:
    """A launch whose worker does at its load what the model's name says."""
    path = directory / "m.gguf"
    path.write_bytes(gguf_file())
    fields = {"engine": "xllamacpp", "path": path, "model": model, "log_path": directory / "worker.log", **changes}
    return Launch(**fields)  # type: ignore[arg-type]


@asynccontextmanager
async def models(home: Path, text: str = "", data: bytes | None = None) -> AsyncIterator[ModelsService]:
    """The service with a model `m@candle`, whose file is `data`."""
    settings = settings_from(f'[providers.candle]\nmodel_directory = "{home / "models"}"\n{text}', home)
    service = ModelsService(settings, home, log_directory=home, environment={})
    file = home / "m.gguf"
    file.write_bytes(data or gguf_file())
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for _ in service.inventory.pull(f"file://{file}@candle"):
                pass
            yield service
    finally:
        await service.close()


def order(text: str) -> ChatRequest:
    """A request that tells a worker what to do."""
    return ChatRequest(model="m@candle", messages=(ChatMessage(role="user", content=text),))


async def ask(service: ModelsService, text: str, begun: asyncio.Event | None = None) -> str:
    """The reply to a text, which is an order; `begun` is set by its first piece."""
    said = ""
    async for chunk in service.chat(order(text), client="me"):
        if chunk.text and begun is not None:
            begun.set()
        said = chunk.result.message.content if chunk.result is not None else said
    return said


async def failure(service: ModelsService, text: str, begun: asyncio.Event | None = None) -> LlmspellError:
    """The error that a text is answered with."""
    try:
        said = await ask(service, text, begun)
    except LlmspellError as error:
        return error
    raise AssertionError(f"it was answered: {said}")
