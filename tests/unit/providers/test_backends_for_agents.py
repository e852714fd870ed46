"""Whether a model's backend could be asked at all: told before any model is looked for, and without asking one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from llmspell_protocol.errors import BackendNotConfigured, ConfigError, LlmspellError, Unsupported
from llmspell_protocol.vendors import KEY_VARIABLES
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.settings import settings_from

CANDLE = "[providers.candle]\n"
DOWN = '[providers.ollama]\nbase_url = "http://127.0.0.1:9"\n'


def _problem(toml: str, home: Path, name: str) -> LlmspellError | None:
    registry = ProviderRegistry(settings_from(toml, home), log_directory=home, environment={})

    async def demand() -> None:
        await registry.demand_backend(ModelSpec.parse(name))

    try:
        asyncio.run(demand())
    except LlmspellError as error:
        return error
    return None


@pytest.mark.parametrize("vendor", sorted(KEY_VARIABLES))
def test_a_vendor_that_is_switched_off_is_told(tmp_path: Path, vendor: str) -> None:
    problem = _problem(f"[providers.{vendor}]\nenabled = false\n", tmp_path, f"{vendor}/some-model")
    assert isinstance(problem, BackendNotConfigured)
    assert problem.hint == f"llmspell config set providers.{vendor}.enabled true"


@pytest.mark.parametrize("vendor", sorted(KEY_VARIABLES))
@pytest.mark.parametrize("table", [True, False])
def test_a_vendor_whose_key_is_nowhere_is_told(tmp_path: Path, vendor: str, table: bool) -> None:
    problem = _problem(f"[providers.{vendor}]\n" if table else CANDLE, tmp_path, f"{vendor}/some-model")
    assert isinstance(problem, ConfigError | Unsupported), problem
    if isinstance(problem, ConfigError):
        assert problem.hint == f"llmspell keys add {vendor}"


@pytest.mark.parametrize("name", ["x@nobackend", "x@ollama", "ollama/x"])
def test_a_backend_that_is_not_known_or_not_configured_is_told(tmp_path: Path, name: str) -> None:
    assert isinstance(_problem(CANDLE, tmp_path, name), BackendNotConfigured)


def test_without_any_local_backend_a_bare_name_is_nobody_s(tmp_path: Path) -> None:
    assert isinstance(_problem("", tmp_path, "smollm2:135m"), BackendNotConfigured)


@pytest.mark.parametrize("name", ["mock/a", "nosuch@candle", "nosuch", "x@ollama", "org/x", "own/x"])
def test_a_backend_that_could_be_asked_is_not_asked(tmp_path: Path, name: str) -> None:
    own = '[providers.own]\nprovider_type = "openai"\nbase_url = "http://127.0.0.1:9/v1"\n'
    assert _problem(CANDLE + DOWN + own, tmp_path, name) is None


def test_a_key_that_is_there_is_enough(tmp_path: Path) -> None:
    assert _problem('[providers.openai]\napi_key = "k"\n', tmp_path, "openai/gpt-4o-mini") is None
