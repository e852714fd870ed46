"""Which model makes the vectors of a request that names none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.services.embedding_model import EmbeddingModel, embedding_model
from llmspell_protocol.errors import ConfigError
from llmspell_providers.registry import ProviderRegistry
from tests.support.installed import install
from tests.support.settings import settings_from

CANDLE = '[providers]\ndefault_provider = "candle"\n[providers.candle]\ndefault_model = "smollm2:135m"\n'
OLLAMA_DOWN = '[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n'


def chosen(toml: str, home: Path) -> EmbeddingModel:
    """The choice with these settings."""
    registry = ProviderRegistry(settings_from(toml, home), log_directory=home, environment={})

    async def choose() -> EmbeddingModel:
        try:
            return await embedding_model(registry)
        finally:
            await registry.close()

    return asyncio.run(choose())


def test_the_model_of_the_settings_is_taken_without_looking_for_others(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    assert chosen(f'{CANDLE}[models]\nembedding = "bge-m3@candle"\n', tmp_path) == ("bge-m3@candle", (), None)


def test_an_installed_embedding_model_is_taken_and_a_chat_model_that_embeds_too_is_not(tmp_path: Path) -> None:
    install(tmp_path, "chatty", capabilities=("chat", "embed"))
    install(tmp_path, "minilm", capabilities=("embed",))
    assert chosen(CANDLE + OLLAMA_DOWN, tmp_path) == ("minilm@candle", (), None)


def test_of_several_the_first_by_name_is_taken_and_said(tmp_path: Path) -> None:
    for name in ("minilm", "bge-m3"):
        install(tmp_path, name, capabilities=("embed",))
    model, warnings, better = chosen(CANDLE, tmp_path)
    assert (model, better) == ("bge-m3@candle", None)
    assert warnings == (
        "several embedding models are installed: using bge-m3@candle, not minilm@candle (models.embedding chooses)",
    )


def test_without_one_the_default_model_is_taken_and_what_to_pull_is_said(tmp_path: Path) -> None:
    install(tmp_path, "chatty", capabilities=("chat",))
    model, warnings, better = chosen(CANDLE + OLLAMA_DOWN, tmp_path)
    assert model == "smollm2:135m@candle"
    assert len(warnings) == 1
    assert warnings[0].startswith(
        "no embedding model is installed: the vectors are those of smollm2:135m@candle, a chat model; "
        f"for better vectors: llmspell model pull {better}"
    )


def test_nothing_set_and_nothing_installed_is_an_error_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No model is named"):
        chosen("[providers.candle]\n", tmp_path)
