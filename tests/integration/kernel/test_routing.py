"""Which backend answers for a model while an Ollama daemon is up."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.installed import install
from tests.support.ollama_replay import OllamaReplay
from tests.support.settings import settings_from


def _registry(ollama: OllamaReplay, home: Path) -> ProviderRegistry:
    toml = f'[providers.candle]\n[providers.ollama]\nbase_url = "{ollama.base_url}"\n'
    return ProviderRegistry(settings_from(toml, home), log_directory=home, environment={})


def _located(registry: ProviderRegistry, name: str) -> str:
    return str(asyncio.run(registry.locate(ModelSpec.parse(name)))[1])


def _pulled_to(registry: ProviderRegistry, name: str) -> str:
    return asyncio.run(registry.for_pull(ModelSpec.parse(name)))[0].name


def test_ollama_answers_for_what_both_have_when_it_is_up(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    with OllamaReplay("033-tags-two") as ollama:
        registry = _registry(ollama, tmp_path)
        assert _located(registry, "smollm2:135m") == "smollm2:135m@ollama"
        install(tmp_path, "other")
        assert _located(registry, "other") == "other@candle"


def test_deleting_a_name_that_both_have_needs_the_backend(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    with OllamaReplay("033-tags-two") as ollama:
        registry = _registry(ollama, tmp_path)
        with pytest.raises(InvalidRequest) as caught:
            asyncio.run(registry.locate_only(ModelSpec.parse("smollm2:135m")))
        assert caught.value.details["found"] == ["smollm2:135m@ollama", "smollm2:135m@candle"]
        _, spec, _ = asyncio.run(registry.locate_only(ModelSpec.parse("smollm2:135m@candle")))
        assert spec.backend == "candle"


def test_a_pull_without_backend_goes_where_the_name_is_known(tmp_path: Path) -> None:
    with OllamaReplay("003-version", "033-tags-two") as ollama:
        registry = _registry(ollama, tmp_path)
        assert _pulled_to(registry, "smollm2:135m") == "candle"
        assert _pulled_to(registry, "some-model:7b") == "ollama"
        assert _pulled_to(registry, "file:///data/model.gguf") == "candle"
        assert _pulled_to(registry, "hf.co/ORG/REPO") == "candle"
        assert _pulled_to(registry, "smollm2:135m@ollama") == "ollama"
