"""Lists, descriptions, vectors and pulls with odd fields: what is there is told, and the rest is a typed error."""

from __future__ import annotations

import copy
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import BackendUnavailable, LlmspellError
from llmspell_providers.base import Provider
from llmspell_providers.spec import ModelSpec
from tests.support.odd_values import ODD, leaves, with_value
from tests.support.raw_http import Plan, RawAsked, RawServer, http
from tests.support.server_kinds import LISTS, ServerKind, with_provider

M = ModelSpec.parse("m")
SHOW = {
    "license": "Apache\nall of it",
    "template": "{{ .Prompt }}",
    "details": {"family": "llama", "format": "gguf"},
    "model_info": {"general.architecture": "llama", "llama.context_length": 2048, "general.parameter_count": 7},
    "capabilities": ["completion", "tools"],
}
TAGS = {
    "models": [
        {
            "name": "m:latest",
            "model": "m:latest",
            "size": 5,
            "digest": "abc",
            "modified_at": "2026-01-01T00:00:00Z",
            "details": {"format": "gguf", "family": "llama", "parameter_size": "7B", "quantization_level": "Q4_0"},
        }
    ]
}
PS = {
    "models": [
        {"name": "m:latest", "size": 5, "size_vram": 0, "expires_at": "2026-01-01T00:00:00Z", "context_length": 4096}
    ]
}
OPENAI_MODELS = {
    "object": "list",
    "data": [{"id": "m", "max_model_len": 4096, "meta": {"n_ctx_train": 1, "n_embd": 2, "n_params": 3, "size": 4}}],
}
ANTHROPIC_MODELS = {"data": [{"id": "m", "max_input_tokens": 5, "type": "model"}], "has_more": False, "last_id": "m"}
OPENAI_VECTORS = {
    "data": [{"index": 0, "embedding": [1.0, 2.0]}, {"index": 1, "embedding": [3.0, 4.0]}],
    "usage": {"prompt_tokens": 5},
}
OLLAMA_VECTORS = {"embeddings": [[1.0, 0.0], [0.0, 1.0]], "prompt_eval_count": 5}
PULL = [
    {"status": "pulling manifest"},
    {"status": "pulling abc", "digest": "sha256:abc", "total": 5, "completed": 5},
    {"status": "success"},
]


async def _pulled(provider: Provider) -> Any:
    return [one async for one in provider.pull(M, force=False, quantization=None)]


def _embedded(provider: Provider) -> Awaitable[Any]:
    return provider.embed(M, ["a", "b"], normalize=True, client="me")


Call = Callable[[Provider], Awaitable[Any]]
CALLS: dict[str, tuple[ServerKind, str, Any, Call]] = {
    "the models of an OpenAI-compatible server": ("openai", "/v1/models", OPENAI_MODELS, lambda one: one.list_models()),
    "one of them": ("openai", "/v1/models", OPENAI_MODELS, lambda one: one.info(M)),
    "its vectors": ("openai", "/v1/embeddings", OPENAI_VECTORS, _embedded),
    "its tokens": ("openai", "/tokenize", {"tokens": [1, 2]}, lambda one: one.tokenize(M, "a")),
    "the models of Anthropic": ("anthropic", "/v1/models", ANTHROPIC_MODELS, lambda one: one.list_models()),
    "the models of Ollama": ("ollama", "/api/tags", TAGS, lambda one: one.list_models()),
    "one model of Ollama": ("ollama", "/api/show", SHOW, lambda one: one.info(M)),
    "what Ollama has loaded": ("ollama", "/api/ps", PS, lambda one: one.loaded()),
    "the version of Ollama": ("ollama", "/api/version", {"version": "0.24.0"}, lambda one: one.list_models()),
    "the vectors of Ollama": ("ollama", "/api/embed", OLLAMA_VECTORS, _embedded),
    "a pull of Ollama": ("ollama", "/api/pull", PULL, _pulled),
    "a load of Ollama": ("ollama", "/api/generate", {"done": True}, lambda one: one.unload(M, force=False)),
}


def _body(content: Any, path: str) -> bytes:
    if path == "/api/pull" and isinstance(content, list):
        return b"".join(json.dumps(one).encode() + b"\n" for one in content)
    return json.dumps(content).encode()


def _answers(path: str, contents: Callable[[], Any]) -> Callable[[RawAsked], Plan]:
    others: Mapping[str, Any] = {**LISTS, "/api/tags": TAGS, "/api/ps": PS, "/api/show": SHOW}

    def plan(asked: RawAsked) -> Plan:
        where = asked.path.partition("?")[0]
        return (http(_body(contents() if where == path else others.get(where, {}), where)),)

    return plan


async def _tried(call: Call, provider: Provider) -> Any:
    try:
        return await call(provider)
    except LlmspellError as error:
        return error


@pytest.mark.parametrize("what", CALLS)
@pytest.mark.parametrize("odd", ODD)
def test_any_value_in_any_field_of_any_answer_is_borne(what: str, odd: str, tmp_path: Path) -> None:
    kind, path, content, call = CALLS[what]
    contents = [with_value(content, at, ODD[odd]) for at in leaves(content)]
    current: list[Any] = [content]

    async def all_of_them(provider: Provider) -> list[Any]:
        good = await _tried(call, provider)
        assert not isinstance(good, LlmspellError), good
        came = []
        for current[0] in contents:
            came.append((current[0], await provider.health(), await _tried(call, provider)))
        return came

    with RawServer(_answers(path, lambda: copy.deepcopy(current[0]))) as server:
        came = with_provider(kind, server.origin, tmp_path, all_of_them, seconds=60)
    assert came
    for changed, health, answer in came:
        assert health.ready or health.reason, changed
        if isinstance(answer, LlmspellError):
            assert answer.code in ("backend_unavailable", "model_not_found"), (changed, answer)


NOTHING: dict[str, tuple[ServerKind, str, Any]] = {
    "OpenAI-compatible": ("openai", "/v1/models", {"object": "list", "data": None}),
    "a bare list": ("openai", "/v1/models", []),
    "Anthropic": ("anthropic", "/v1/models", {"data": None, "has_more": None}),
    "Ollama": ("ollama", "/api/tags", {"models": None}),
    "Ollama with nothing loaded": ("ollama", "/api/ps", {"models": None}),
}


@pytest.mark.parametrize("what", NOTHING)
def test_a_server_without_models_is_there_and_has_none(what: str, tmp_path: Path) -> None:
    kind, path, content = NOTHING[what]

    async def look(provider: Provider) -> Any:
        return await provider.health(), await provider.list_models(), await provider.find(ModelSpec.parse("other"))

    with RawServer(_answers(path, lambda: content)) as server:
        health, listed, found = with_provider(kind, server.origin, tmp_path, look, seconds=20)
    assert (health.ready, health.reason) == (True, None)
    assert health.available_models == len(listed) == (1 if path == "/api/ps" else 0)
    assert found is None


VECTORS: dict[str, Any] = {
    "numbers that are those of no text": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}]},
    "too few": {"data": [{"index": 0, "embedding": [1.0]}]},
    "two lengths": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}]},
    "empty ones": {"data": [{"index": 0, "embedding": []}, {"index": 1, "embedding": []}]},
    "text": {"data": [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "AAAA"}]},
    "not a number": {"data": [{"index": 0, "embedding": [float("nan")]}, {"index": 1, "embedding": [1.0]}]},
    "without end": {"data": [{"index": 0, "embedding": [float("inf")]}, {"index": 1, "embedding": [1.0]}]},
    "too large for float32": {"data": [{"index": 0, "embedding": [1e39]}, {"index": 1, "embedding": [1.0]}]},
    "truth": {"data": [{"index": 0, "embedding": [True]}, {"index": 1, "embedding": [1.0]}]},
    "a megabyte more than two can be": {"data": None, "x": "a" * (2 << 20)},
}


@pytest.mark.parametrize("what", VECTORS)
def test_vectors_that_are_none_are_an_error_that_names_the_server(what: str, tmp_path: Path) -> None:
    content = json.dumps(VECTORS[what])
    with RawServer(lambda asked: (http(content.encode()),)) as server:
        origin = server.origin
        came = with_provider("openai", origin, tmp_path, lambda one: _tried(_embedded, one), seconds=20)
    assert type(came) is BackendUnavailable
    assert origin in came.message


def test_vectors_come_in_the_order_of_the_texts_whatever_order_they_are_sent_in(tmp_path: Path) -> None:
    content = {"data": [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [1.0, 0.0]}], "usage": None}
    with RawServer(lambda asked: (http(json.dumps(content).encode()),)) as server:
        came = with_provider("openai", server.origin, tmp_path, _embedded, seconds=20)
    assert came.data[:4] == b"\x00\x00\x80\x3f"
    assert came.usage.prompt_tokens == 0
