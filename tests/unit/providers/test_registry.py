"""Which backend answers for a model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from llmspell_protocol.errors import (
    BackendNotConfigured,
    BackendUnavailable,
    ConfigError,
    ModelNotFound,
    Unsupported,
)
from llmspell_providers.provider_factory import MOCK_PAUSE_VARIABLE, MOCK_REPLY_VARIABLE
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.installed import install
from tests.support.settings import settings_from

CANDLE = "[providers.candle]\n"
CLOSED_PORT = "http://127.0.0.1:9"
"""The discard port: nothing listens there."""


def _ollama(base_url: str = CLOSED_PORT, extra: str = "") -> str:
    return f'[providers.ollama]\nbase_url = "{base_url}"\n{extra}\n'


def _registry(toml: str, home: Path, environment: Mapping[str, str] | None = None) -> ProviderRegistry:
    return ProviderRegistry(settings_from(toml, home), log_directory=home, environment=environment or {})


def _located(registry: ProviderRegistry, name: str) -> str:
    return str(asyncio.run(registry.locate(ModelSpec.parse(name)))[1])


def _pulled_to(registry: ProviderRegistry, name: str) -> str:
    return asyncio.run(registry.for_pull(ModelSpec.parse(name)))[0].name


def test_a_named_backend_is_taken_without_asking(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(), tmp_path)
    assert _located(registry, "anything@candle") == "anything@candle"
    assert _located(registry, "ollama/anything") == "anything@ollama"


def test_the_default_backend_comes_before_asking(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(extra='default_backend = "candle"'), tmp_path)
    assert _located(registry, "local/anything:7b") == "anything:7b@candle"


def test_a_table_of_another_name_serves_its_type_and_its_own_name(tmp_path: Path) -> None:
    registry = _registry('[providers.mine]\nprovider_type = "candle"\n', tmp_path)
    assert registry.get("candle") is registry.get("mine")
    assert _located(registry, "x@candle") == "x@mine"


def test_candle_answers_when_ollama_is_down(tmp_path: Path) -> None:
    install(tmp_path, "smollm2", "135m")
    registry = _registry(CANDLE + _ollama(), tmp_path)
    assert _located(registry, "smollm2:135m") == "smollm2:135m@candle"


def test_a_model_that_no_backend_has_is_refused_with_both_reasons_and_the_way_out(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(), tmp_path)
    with pytest.raises(ModelNotFound) as caught:
        _located(registry, "smollm2:135m")
    error = caught.value
    assert error.message == "Model 'smollm2:135m' not found: candle can pull it, but it is not installed"
    assert error.hint == "llmspell model pull smollm2:135m@candle"
    assert error.details["reasons"] == {
        "ollama": "no answer from http://127.0.0.1:9 (connection refused)",
        "candle": "not installed",
    }
    assert error.details["searched"] == ["ollama", "candle"]
    with pytest.raises(ModelNotFound) as unknown:
        _located(registry, "nosuch")
    assert unknown.value.hint is not None
    assert unknown.value.hint.startswith("llmspell model available")


def test_a_pull_of_an_unknown_name_without_ollama_says_both(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(), tmp_path)
    with pytest.raises(ModelNotFound, match="catalog does not have it, and ollama is not running"):
        _pulled_to(registry, "some-model:7b")


def test_a_pull_goes_to_the_only_configured_backend_and_without_any_misses_ollama(tmp_path: Path) -> None:
    assert _pulled_to(_registry(CANDLE, tmp_path), "some-model:7b") == "candle"
    with pytest.raises(BackendNotConfigured, match="Backend 'ollama' not configured"):
        _pulled_to(_registry("", tmp_path), "some-model:7b")


def test_an_address_is_pulled_by_candle_whatever_the_default_is(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(extra='default_backend = "ollama"'), tmp_path)
    assert _pulled_to(registry, "file:///data/model.gguf") == "candle"
    assert _pulled_to(registry, "smollm2:135m") == "ollama"


def test_a_backend_that_is_not_configured_names_the_profile_and_the_key(tmp_path: Path) -> None:
    with pytest.raises(BackendNotConfigured) as caught:
        _registry("", tmp_path).get("candle")
    assert caught.value.message == (
        "Backend 'candle' not configured. To use candle models:\n"
        "1. Use the builtin profile: llmspell -p candle\n"
        "2. Or configure candle provider in your config file"
    )
    assert caught.value.details == {"backend": "candle", "profile": "candle"}
    assert caught.value.exit_status == 2


def test_a_disabled_backend_counts_as_not_configured(tmp_path: Path) -> None:
    registry = _registry("[providers.candle]\nenabled = false\n", tmp_path)
    assert registry.local == []
    assert not registry.has("candle")
    with pytest.raises(BackendNotConfigured):
        registry.get("candle")


def test_a_backend_that_does_not_exist_lists_those_that_do(tmp_path: Path) -> None:
    with pytest.raises(BackendNotConfigured) as caught:
        _located(_registry(CANDLE, tmp_path), "tinyllama@invalid")
    assert caught.value.message == (
        "Backend 'invalid' not configured and no matching builtin profile found.\n"
        "Available backends: ollama, candle\n"
        "Check your model specification format: model:variant@backend"
    )


def test_a_vendor_s_model_needs_no_table(tmp_path: Path) -> None:
    assert _located(_registry(CANDLE, tmp_path), "openai/gpt-4") == "gpt-4@openai"
    assert _located(_registry(CANDLE, tmp_path), "gpt-4@openai") == "gpt-4@openai"
    assert _located(_registry(CANDLE + "[providers.openai]\n", tmp_path), "openai/gpt-4") == "gpt-4@openai"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("together/openai/gpt-oss-20b", "openai/gpt-oss-20b@together"),
        ("openai/gpt-oss-20b@together", "openai/gpt-oss-20b@together"),
        ("together/openai/gpt-oss-20b@together", "openai/gpt-oss-20b@together"),
        ("box/llama3:8b", "llama3:8b@box"),
        ("llama3:8b@box", "llama3:8b@box"),
        ("openai/gpt-4", "gpt-4@openai"),  # whose key is not for a server of the user's own
    ],
)
def test_the_word_that_names_a_remote_provider_is_no_part_of_its_model_s_name(
    tmp_path: Path, name: str, found: str
) -> None:
    box = '[providers.box]\nprovider_type = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    assert _located(_registry(f"{CANDLE}{box}[providers.together]\n", tmp_path), name) == found


def test_a_vendor_without_an_interface_that_is_spoken_here_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="replicate has no OpenAI-compatible interface"):
        _located(_registry("[providers.replicate]\n", tmp_path), "replicate/x")
    gateway = '[providers.replicate]\nbase_url = "http://127.0.0.1:9/v1"\n'
    assert _located(_registry(gateway, tmp_path), "replicate/x") == "x@replicate"


def test_an_organisation_in_a_name_is_not_mistaken_for_a_backend(tmp_path: Path) -> None:
    install(tmp_path, "google/flan-t5-small")
    assert _located(_registry(CANDLE, tmp_path), "google/flan-t5-small") == "google/flan-t5-small@candle"


def test_mock_models_are_there_without_any_configuration(tmp_path: Path) -> None:
    registry = _registry("", tmp_path, {MOCK_REPLY_VARIABLE: "as told"})
    assert _located(registry, "mock/echo") == "mock/echo@mock"
    assert registry.local == []


@pytest.mark.parametrize("pause", ["soon", "-1", "nan", "inf"])
def test_a_pause_of_the_mock_is_a_number_of_seconds(tmp_path: Path, pause: str) -> None:
    with pytest.raises(ConfigError, match=f"^LLMSPELL_MOCK_PAUSE is '{pause}', which is no number of seconds$"):
        _located(_registry("", tmp_path, {MOCK_PAUSE_VARIABLE: pause}), "mock/echo")


def test_the_default_model_is_the_default_provider_s(tmp_path: Path) -> None:
    both = '[providers]\ndefault_provider = "candle"\n[providers.candle]\ndefault_model = "smollm2:135m"\n' + _ollama()
    assert _registry(both, tmp_path).default_model() == "smollm2:135m@candle"
    assert _registry(both, tmp_path).default_model("candle") == "smollm2:135m@candle"
    with pytest.raises(ConfigError, match="'openai' has no default model"):
        _registry(both, tmp_path).default_model("openai")
    vendor = '[providers.openai]\ndefault_model = "gpt-4"\n'
    assert _registry(vendor, tmp_path).default_model() == "openai/gpt-4"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("", "no provider is configured"),
        ("[providers.openai]\n[providers.groq]\n", "no default provider"),
        (CANDLE + _ollama(), "provider 'candle' has no default model"),
        (CANDLE, "provider 'candle' has no default model"),
    ],
)
def test_without_a_default_model_the_error_says_which_key_is_missing(toml: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _registry(toml, tmp_path).default_model()
    assert caught.value.details["key"].startswith("providers.")


def test_a_backend_that_is_down_says_so_when_it_is_named(tmp_path: Path) -> None:
    registry = _registry(CANDLE + _ollama(), tmp_path)
    with pytest.raises(BackendUnavailable, match=r"no answer from http://127.0.0.1:9 \(connection refused\)"):
        asyncio.run(registry.get("ollama").list_models())
