"""How one model drafts, asked for at a load or by a request, whatever the settings say of all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest, ChatResult, SamplingOptions, Speculation
from tests.support.random_gguf import write_random_model
from tests.support.settings import settings_from

pytestmark = pytest.mark.slow

DEADLINE_S = 120.0


def _service(home: Path, candle: str = "") -> ModelsService:
    directory = home / "models"
    toml = f'[providers.candle]\nmodel_directory = "{directory}"\ncontext_size = 256\nmax_concurrent = 1\n{candle}\n'
    return ModelsService(settings_from(toml, home), home, log_directory=home, environment={})


async def _chat(service: ModelsService, speculation: Speculation | None) -> ChatResult:
    request = ChatRequest(
        model="m",
        messages=(ChatMessage(role="user", content="hi"),),
        options=SamplingOptions(temperature=0.0, max_tokens=3),
        speculation=speculation,
    )
    result = None
    async for chunk in service.chat(request, client="me"):
        result = chunk.result
    assert result is not None
    return result


async def _drafting(service: ModelsService) -> str | None:
    (line,) = (await service.inventory.ps()).models
    return line.speculation


def test_a_load_and_a_request_say_how_one_model_drafts(tmp_path: Path) -> None:
    async def scenario() -> None:
        service = _service(tmp_path, 'speculation = "off"')
        path = write_random_model(tmp_path / "m.gguf", "full")
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for _ in service.inventory.pull(f"file://{path}@candle"):
                    pass
                await service.load("m")
                assert await _drafting(service) == "off"
                assert (await service.load("m", speculation="ngram")).speculation == "ngram"
                pid = (await service.inventory.ps()).models[0].pid
                # Without a wish, and with "auto", it is taken as it is.
                for wanted in (None, "auto", "ngram"):
                    assert (await _chat(service, wanted)).timings.draft_tokens is not None  # type: ignore[arg-type]
                assert (await service.inventory.ps()).models[0].pid == pid
                assert (await _chat(service, "off")).timings.draft_tokens is None
                assert await _drafting(service) == "off"
        finally:
            await service.close()

    asyncio.run(scenario())


def test_drafts_that_an_engine_has_not_are_refused_and_the_loaded_model_stays(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = write_random_model(tmp_path / "m.gguf", "full")
        first = _service(tmp_path)
        try:
            async for _ in first.inventory.pull(f"file://{path}@candle"):
                pass
        finally:
            await first.close()
        service = _service(tmp_path, 'engine = "llama-cpp-python"')
        try:
            for ask in (service.load("m", speculation="ngram"), _chat(service, "ngram")):
                with pytest.raises(Unsupported) as caught:
                    await ask
                assert caught.value.details["operation"] == "speculation"
            assert (await service.inventory.ps()).models == []
        finally:
            await service.close()

    asyncio.run(scenario())
