"""What is said about a name that no backend has: what may have been meant, and whether it can be pulled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.services.models import ModelsService
from llmspell_protocol.errors import ModelNotFound
from llmspell_protocol.models import LocalModel
from llmspell_protocol.vendors import vendor_of
from llmspell_providers.near_names import nearest, nearest_offered, not_pulled_anywhere
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


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("gpt-4o", "openai"),
        ("o3", "openai"),
        ("o1-mini", "openai"),
        ("claude-sonnet-4-5", "anthropic"),
        ("gemini-2.5-flash", "gemini"),
        ("gpt-oss", None),
        ("olmo2", None),
        ("o3x", None),
        ("claude", None),
    ],
)
def test_a_vendor_is_known_by_the_names_of_its_models(name: str, vendor: str | None) -> None:
    assert vendor_of(name) == vendor


def test_a_vendors_name_for_its_model_is_answered_with_the_vendor_before_it(tmp_path: Path) -> None:
    error = error_for("gpt-4o", tmp_path, BOTH + '[providers.box]\nprovider_type = "openai"\napi_key = "k"\n')
    assert (advice(error), error.hint) == ({"nearest": "box/gpt-4o"}, "did you mean 'box/gpt-4o'?")


def test_a_vendors_model_without_a_key_is_told_how_to_get_there(tmp_path: Path) -> None:
    error = error_for("claude-sonnet-4-5", tmp_path)
    hint = "it is a model of anthropic: llmspell keys add anthropic, and then the model anthropic/claude-sonnet-4-5"
    assert (advice(error), error.hint) == ({}, hint)


def test_a_pull_of_a_misspelt_name_is_answered_with_the_catalogs() -> None:
    ways = "llmspell model available, or hf.co/ORG/REPO for a repository"
    error = not_pulled_anywhere(ModelSpec.parse("smolm2:135m"), "candle", None)
    assert (advice(error), error.hint) == ({"similar": "smollm2:135m"}, f"did you mean 'smollm2:135m'? {ways}")
    assert not_pulled_anywhere(ModelSpec.parse("nope:7b"), "candle", None).hint == ways


def test_another_model_of_the_family_is_named_an_installed_one_first(tmp_path: Path) -> None:
    assert advice(error_for("qwen9", tmp_path)) == {"similar": "qwen3.5:9b"}
    install(tmp_path, "qwen3", "1b")
    error = error_for("qwen9", tmp_path)
    assert (advice(error), error.hint) == ({"similar": "qwen3:1b"}, "did you mean 'qwen3:1b'?")
    for name in ("llama", "llamanders-2", "all"):
        assert advice(error_for(name, tmp_path)) == {}
