"""A configuration file adds: what it does not mention stays as it is without a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmspell_profiles.loading.profiles import PROFILE_NAMES
from tests.support.settings import error_of, load

OPENAI_SERVER = "[providers.box]\nprovider_type = 'openai'\nbase_url = 'http://localhost:1/v1'\n"


@pytest.mark.parametrize("toml", ["", "kernel.port = 9600", "models.keep_alive = '1h'", OPENAI_SERVER, "[providers]"])
def test_the_local_backends_are_there_whatever_else_a_file_says(tmp_path: Path, toml: str) -> None:
    without = load(tmp_path).settings.providers
    providers = load(tmp_path, toml).settings.providers
    assert providers.default == without.default == "candle"
    for name in ("candle", "ollama"):
        assert providers.enabled[name].as_data() == without.enabled[name].as_data()


def test_one_key_of_a_local_backend_changes_that_key_alone(tmp_path: Path) -> None:
    before = load(tmp_path).settings.providers
    after = load(tmp_path, "providers.candle.max_concurrent = 2").settings.providers
    assert after.tables["candle"].as_data() == before.tables["candle"].as_data() | {"max_concurrent": 2}
    assert after.tables["ollama"].as_data() == before.tables["ollama"].as_data()


def test_a_backend_goes_when_it_is_switched_off(tmp_path: Path) -> None:
    providers = load(tmp_path, "providers.candle.enabled = false").settings.providers
    assert (list(providers.enabled), providers.default) == (["ollama"], "ollama")
    both = "providers.candle.enabled = false\nproviders.ollama.enabled = false\n"
    assert load(tmp_path, both).settings.providers.default is None
    variable = load(tmp_path, "", LLMSPELL_PROVIDERS__CANDLE__ENABLED="false").settings.providers
    assert (list(variable.enabled), variable.default) == (["ollama"], "ollama")


def test_a_default_that_somebody_chose_must_be_there(tmp_path: Path) -> None:
    toml = "providers.candle.enabled = false\nproviders.default_provider = 'candle'"
    message = "llmspell.toml:2 providers.default_provider: 'candle' is not configured; configured: ollama"
    assert error_of(tmp_path, toml).message == message


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_a_file_that_extends_a_profile_has_the_backends_of_that_profile(tmp_path: Path, profile: str) -> None:
    named = load(tmp_path, profile=profile).settings.providers
    extended = load(tmp_path, f"extends = '{profile}'").settings.providers
    assert (extended.as_data(), extended.default) == (named.as_data(), named.default)


def test_a_local_backend_under_another_name_is_not_there_twice(tmp_path: Path) -> None:
    providers = load(tmp_path, "[providers.mine]\nprovider_type = 'candle'\ndefault_model = 'a'\n").settings.providers
    assert set(providers.enabled) == {"mine", "ollama"}
    assert providers.default == "mine"


def test_a_table_that_a_file_makes_a_server_keeps_nothing_of_the_local_backend(tmp_path: Path) -> None:
    toml = "[providers.candle]\nprovider_type = 'openai'\nbase_url = 'http://localhost:1/v1'\n"
    table = load(tmp_path, toml).settings.providers.tables["candle"]
    assert (table.provider_type, table.default_model, table.options) == ("openai", None, {})
