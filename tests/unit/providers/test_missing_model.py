"""What is said about a name that no backend has: what may have been meant, and whether it can be pulled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import ModelNotFound
from llmspell_protocol.models import LocalModel
from llmspell_providers.missing_model import nearest, nearest_offered
from llmspell_providers.spec import ModelSpec
from tests.support.installed import install
from tests.support.settings import settings_from

BOTH = '[providers.candle]\n[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n'
INSTALLED = [("smollm2:135m", "candle"), ("org/Tiny-Chat:Q4_K_M", "candle"), ("qwen3:4b", "ollama")]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("smolm2:135m", "smollm2:135m"),
        ("smollm2:135", "smollm2:135m"),
        ("SmolLM2:135m", "smollm2:135m"),
        ("smolm2", "smollm2:135m"),
        ("smolm2:135m@candle", "smollm2:135m@candle"),
        ("org/tiny-chat", "org/Tiny-Chat:Q4_K_M"),
        ("qwen3:8b", "qwen3:4b"),
        ("hello", None),
        ("mistral", None),
        ("small", None),
    ],
)
def test_the_installed_model_with_nearly_the_name_is_found(typed: str, meant: str | None) -> None:
    assert nearest(ModelSpec.parse(typed), INSTALLED) == meant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("stubby", "box/stubby"), ("stbby", "box/stubby"), ("llama3", "box/llama3:8b"), ("hello", None)],
)
def test_a_model_of_a_server_is_found_without_its_server(typed: str, meant: str | None) -> None:
    offered = [
        LocalModel(id=name, backend="box", size_bytes=None, format="api") for name in ("box/stubby", "box/llama3:8b")
    ]
    found = nearest_offered(ModelSpec.parse(typed), offered)
    assert found == meant


def error_for(model: str, home: Path, toml: str = BOTH) -> ModelNotFound:
    """The error of a question about a model."""

    async def ask() -> None:
        service = ModelsService(settings_from(toml, home), home, log_directory=home, environment={})
        try:
            await service.info(model)
        finally:
            await service.close()

    with pytest.raises(ModelNotFound) as caught:
        asyncio.run(ask())
    return caught.value


def advice(error: ModelNotFound) -> dict[str, Any]:
    """The part of the details that is advice."""
    return {key: error.details[key] for key in ("nearest", "similar", "pull") if key in error.details}


def test_a_misspelt_name_is_answered_with_the_installed_model(tmp_path: Path) -> None:
    install(tmp_path, "tinychat", "1b")
    for name in ("tinychatt:1b", "tinychatt"):
        error = error_for(name, tmp_path)
        assert (advice(error), error.hint) == ({"nearest": "tinychat:1b"}, "did you mean 'tinychat:1b'?")


def test_a_name_of_the_catalog_can_be_pulled_and_its_size_is_told(tmp_path: Path) -> None:
    for name in ("smollm2:135m", "smollm2:135m@candle"):
        error = error_for(name, tmp_path)
        assert error.hint == "llmspell model pull smollm2:135m@candle"
        assert advice(error) == {
            "pull": {"model": "smollm2:135m@candle", "backend": "candle", "size_bytes": 98362432, "known": True}
        }


def test_a_name_that_is_nearly_one_of_the_catalog_is_answered_with_that(tmp_path: Path) -> None:
    error = error_for("smolm2:135m", tmp_path)
    assert advice(error) == {"similar": "smollm2:135m"}
    assert error.hint == "did you mean 'smollm2:135m'? llmspell model pull smollm2:135m"


def test_an_address_of_the_hub_can_be_pulled_whatever_its_size(tmp_path: Path) -> None:
    error = error_for("hf.co/org/repo:Q8_0", tmp_path)
    assert error.hint == "llmspell model pull hf.co/org/repo:Q8_0@candle"
    offer = advice(error)["pull"]
    assert (offer["model"], offer["size_bytes"], offer["known"]) == ("hf.co/org/repo:Q8_0@candle", None, False)


def test_a_name_that_nobody_knows_is_not_offered_while_ollama_is_down(tmp_path: Path) -> None:
    install(tmp_path, "tinychat", "1b")
    for name in ("nope", "nope:7b", "nope@candle", "What is 2+2?"):
        assert advice(error_for(name, tmp_path)) == {}
