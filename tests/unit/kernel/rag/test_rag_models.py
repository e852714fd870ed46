"""Which model makes the vectors of a new place: never one that chats, and never one of a cloud by accident."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_kernel.services.rag.model_choice import Choice, model_for
from llmspell_protocol.errors import ConfigError, InvalidRequest
from tests.support.installed import install
from tests.support.settings import settings_from

CANDLE = "[providers.candle]\n"
KEY = '[providers.openai]\napi_key = "sk-test"\n'
OPENAI = '[rag.embedding]\ndefault_provider = "openai"\n'


def chosen(toml: str, home: Path, *, model: str | None = None, provider: str | None = None) -> Choice:
    settings = settings_from(toml, home)

    async def choose() -> Choice:
        models = ModelsService(settings, home, log_directory=home, environment={})
        try:
            return await model_for(models, settings.rag, model=model, provider=provider)
        finally:
            await models.close()

    return asyncio.run(choose())


def test_a_model_that_is_named_is_taken(tmp_path: Path) -> None:
    assert chosen(CANDLE + OPENAI + KEY, tmp_path, model="mock/embed").model == "mock/embed"


def test_the_model_of_the_settings_goes_before_what_is_installed(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    assert chosen(f'{CANDLE}[models]\nembedding = "bge-m3@candle"\n', tmp_path).model == "bge-m3@candle"
    assert chosen(CANDLE, tmp_path).model == "minilm@candle"


def test_a_chat_model_makes_no_vectors_and_what_to_pull_is_said(tmp_path: Path) -> None:
    install(tmp_path, "chatty", capabilities=("chat", "embed"))
    with pytest.raises(ConfigError, match="no model that makes vectors is installed") as missing:
        chosen(f'{CANDLE}default_model = "chatty"\n', tmp_path)
    assert missing.value.hint is not None
    assert missing.value.hint.startswith(f"llmspell model pull {missing.value.details['pull']}")


def test_a_key_alone_sends_no_document_to_a_cloud(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    assert chosen(CANDLE + KEY, tmp_path).model == "minilm@candle"


def test_a_vendor_that_the_settings_name_is_asked_where_there_is_a_key(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    assert chosen(CANDLE + KEY + OPENAI, tmp_path) == ("openai/text-embedding-3-small", ())


def test_without_its_key_a_model_of_this_machine_is_taken_with_one_warning(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    model, warnings = chosen(CANDLE + OPENAI, tmp_path)
    assert model == "minilm@candle"
    (warning,) = warnings
    assert warning.startswith("rag.embedding.default_provider is openai, which ")
    assert warning.endswith("vectors are made by minilm@candle, on this machine")


def test_local_is_this_machine(tmp_path: Path) -> None:
    install(tmp_path, "minilm", capabilities=("embed",))
    local = '[rag.embedding]\ndefault_provider = "local"\n'
    assert chosen(CANDLE + KEY + local, tmp_path).model == "minilm@candle"
    assert chosen(CANDLE + KEY, tmp_path, provider="candle").model == "minilm@candle"


def test_a_provider_that_is_asked_for_and_can_not_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no API key"):
        chosen(CANDLE, tmp_path, provider="openai")
    with pytest.raises(InvalidRequest, match="which model of 'spare' makes vectors is not known"):
        chosen(CANDLE, tmp_path, provider="spare")
