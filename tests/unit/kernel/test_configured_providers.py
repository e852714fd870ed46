"""The list of configured providers, of which none is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

from llmspell_kernel.services.providers import configured_providers
from llmspell_protocol.areas.model import ConfiguredProvider
from llmspell_providers.registry import ProviderRegistry
from tests.support.installed import install
from tests.support.settings import settings_from

TABLES = """
[providers.candle]
model_directory = "models/candle"
default_model = "smollm2:135m"
context_size = 4096
[providers.ollama]
base_url = "http://127.0.0.1:9"
[providers.openai]
[providers.box]
provider_type = "openai"
base_url = "http://127.0.0.1:9/v1"
[providers.anthropic]
enabled = false
[providers.replicate]
api_key = "a"
"""


def listed(home: Path, **keys: str) -> dict[str, ConfiguredProvider]:
    registry = ProviderRegistry(
        settings_from(TABLES, home),
        log_directory=home,
        environment={},
        find_key=lambda name, table: keys.get(name) or table.api_key,
        keyed_vendors=lambda: list(keys),
    )

    async def body() -> dict[str, ConfiguredProvider]:
        try:
            return {one.name: one for one in (await configured_providers(registry)).providers}
        finally:
            await registry.close()

    return asyncio.run(body())


def test_all_tables_are_listed_with_whether_they_could_be_asked(tmp_path: Path) -> None:
    found = listed(tmp_path)
    assert list(found) == ["anthropic", "box", "candle", "ollama", "openai", "replicate"]
    assert {name: one.available for name, one in found.items()} == {
        "anthropic": False,
        "box": True,
        "candle": True,
        "ollama": True,
        "openai": False,
        "replicate": False,
    }
    assert found["anthropic"].reason == "it is switched off"
    assert found["anthropic"].enabled is False
    assert "OPENAI_API_KEY" in (found["openai"].reason or "")
    assert "no OpenAI-compatible interface" in (found["replicate"].reason or "")


def test_each_provider_tells_what_it_can(tmp_path: Path) -> None:
    found = listed(tmp_path)
    assert {name: one.images for name, one in found.items() if one.enabled} == {
        "box": True,
        "candle": False,
        "ollama": True,
        "openai": True,
        "replicate": False,
    }
    assert found["candle"].streaming
    assert found["anthropic"].streaming
    assert (found["candle"].context_tokens, found["ollama"].context_tokens) == (4096, None)
    assert found["candle"].default_model == "smollm2:135m"


def test_only_what_is_on_this_disk_is_listed_as_models(tmp_path: Path) -> None:
    install(tmp_path, "tiny")
    found = listed(tmp_path)
    assert [name.partition(":")[0] for name in found["candle"].models or ()] == ["tiny"]
    assert found["ollama"].models is None
    assert found["openai"].models is None


def test_a_vendor_that_has_a_key_and_no_table_is_listed(tmp_path: Path) -> None:
    found = listed(tmp_path, groq="gsk", openai="sk")
    assert (found["groq"].available, found["groq"].type) == (True, "groq")
    assert found["openai"].available
