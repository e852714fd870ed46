"""Ollama's OpenAI-compatible side, as a real one answered it, behind a remote provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ModelNotFound
from llmspell_protocol.models import SamplingOptions
from llmspell_providers.base import Provider
from llmspell_providers.spec import ModelSpec
from tests.support.ollama_replay import OllamaReplay
from tests.support.remote_asking import chat, request, using

MODEL = "smollm2:135m@box"


def url_of(replay: OllamaReplay) -> str:
    return f"{replay.base_url}/v1"


def test_its_chat_streams(tmp_path: Path) -> None:
    options = SamplingOptions(temperature=0, seed=1, max_tokens=32)
    asked = request("Why is the sky blue? Answer in one sentence.", model=MODEL, options=options)
    with OllamaReplay("142-v1-chat-stream") as replay:
        chunks, result = using(tmp_path, [url_of(replay)], lambda provider: chat(provider, asked), key=None)
    assert len(chunks) > 20
    assert result.message.content == "".join(chunk.text for chunk in chunks)
    assert result.message.content.startswith("The sky appears blue because")
    assert result.finish_reason == "length"
    assert replay.asked[0].body["model"] == "smollm2:135m"


def test_its_tool_calls_are_understood(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    asked = request("What is the weather in Paris?", model="smollm2:tools@box", tools=(tool,))
    with OllamaReplay("144-v1-chat-tools-stream") as replay:
        _, result = using(tmp_path, [url_of(replay)], lambda provider: chat(provider, asked), key=None)
    assert result.finish_reason == "tool_calls"
    assert [call.name for call in result.message.tool_calls] == ["get_weather"]
    assert result.message.tool_calls[0].arguments["city"] == "Paris"


def test_a_model_that_it_lacks_is_not_found(tmp_path: Path) -> None:
    with OllamaReplay("148-v1-chat-missing-model") as replay, pytest.raises(ModelNotFound):
        using(tmp_path, [url_of(replay)], lambda provider: chat(provider, request(model="nope@box")), key=None)


def test_its_models_are_listed(tmp_path: Path) -> None:
    async def names(provider: Provider) -> list[str]:
        assert (await provider.health()).available_models == 2
        return [model.id for model in await provider.list_models()]

    with OllamaReplay("035-v1-models") as replay:
        assert using(tmp_path, [url_of(replay)], names, key=None) == ["smollm2:copy", "smollm2:135m"]


def test_its_vectors_are_taken_over(tmp_path: Path) -> None:
    async def embed(provider: Provider) -> Any:
        texts = ["The sea is blue.", "Stocks fell today."]
        return await provider.embed(ModelSpec.parse(MODEL), texts, normalize=True, client="me")

    with OllamaReplay("152-v1-embeddings") as replay:
        vectors = using(tmp_path, [url_of(replay)], embed, "dimensions = 8\n", key=None)
    assert (vectors.count, vectors.dimensions) == (2, 8)
    assert vectors.usage.prompt_tokens > 0
    assert replay.asked[0].body["dimensions"] == 8
