"""What every backend does alike: the same cases over the mock, xllamacpp, llama-server, an OpenAI-compatible server
that is not ours (llama.cpp's) and, where it is built, llama-cpp-python.
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest, SchemaViolation, Unsupported
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, LoadOptions, SamplingOptions
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.llama_http import LlamaHttp
from tests.support.llama_server import launcher
from tests.support.settings import settings_from

GREEDY = SamplingOptions(temperature=0.0, seed=1, max_tokens=16)
DEADLINE_S = 120
KEY = "a-key-for-the-test"


@dataclass
class Case:
    """A provider with a loaded model, and the loop that both belong to."""

    runner: asyncio.Runner
    provider: Provider
    spec: ModelSpec
    keeps_models: bool = True
    """Whether the backend itself decides which models are in memory."""

    def run(self, scenario: Any) -> Any:
        """Runs a coroutine on the provider's loop."""
        return self.runner.run(asyncio.wait_for(scenario, DEADLINE_S))

    def request(self, text: str = "Say hello.", **fields: Any) -> ChatRequest:
        """A conversation of one message, greedy and short unless told otherwise."""
        messages = (ChatMessage(role="user", content=text),)
        return ChatRequest(**{"model": str(self.spec), "messages": messages, "options": GREEDY, **fields})

    def ask(self, request: ChatRequest) -> tuple[list[ChatChunk], ChatResult]:
        """The chunks before the last, and the result in the last."""
        return self.run(self._ask(request, "me"))  # type: ignore[no-any-return]

    async def _ask(self, request: ChatRequest, client: str) -> tuple[list[ChatChunk], ChatResult]:
        chunks = [chunk async for chunk in self.provider.chat(request, client=client)]
        assert all(chunk.result is None for chunk in chunks[:-1])
        assert chunks[-1].result is not None
        return chunks[:-1], chunks[-1].result


def _candle(engine: str, home: Path) -> str:
    server = f'server_path = "{launcher(home)}"\n' if engine == "llama-server" else ""
    return (
        '[providers]\ndefault_provider = "candle"\n'
        f'[providers.candle]\nengine = "{engine}"\ncontext_size = 512\nmax_concurrent = 2\n{server}'
        f'model_directory = "{home / "models"}"\n'
    )


def _remote(base_url: str) -> str:
    return f'[providers.box]\nprovider_type = "openai"\nbase_url = "{base_url}"\napi_key = "{KEY}"\n'


@pytest.fixture(
    scope="module",
    params=[
        "mock",
        pytest.param("xllamacpp", marks=pytest.mark.slow),
        pytest.param("llama-server", marks=pytest.mark.slow),
        pytest.param("openai", marks=pytest.mark.slow),
        pytest.param("llama-cpp-python", marks=pytest.mark.engines),
    ],
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Each backend with its model loaded until the cases are through."""
    home = tmp_path_factory.mktemp("providers")
    with asyncio.Runner() as runner:
        if request.param == "mock":
            registry = ProviderRegistry(settings_from("", home), log_directory=home, environment={})
            yield Case(runner, registry.get("mock"), ModelSpec.parse("mock/echo@mock"))
            return
        model: Path = request.getfixturevalue("smollm2_path")
        if request.param == "openai":
            with LlamaHttp(model, key=KEY) as server:
                remote = settings_from(_remote(server.base_url), home)
                registry = ProviderRegistry(remote, log_directory=home, environment={})
                spec = ModelSpec.parse("smollm2@box")
                yield Case(runner, registry.get("box"), spec, keeps_models=False)
                runner.run(registry.close())
            return
        settings = settings_from(_candle(request.param, home), home)
        registry = ProviderRegistry(settings, log_directory=home, environment={})
        provider = registry.get("candle")

        async def install() -> str:
            source = ModelSpec.parse(f"file://{model}@candle")
            result = None
            async for progress in provider.pull(source, force=False, quantization=None):
                result = progress.result
            assert result is not None
            await provider.load(ModelSpec.parse(result.model_id), LoadOptions(keep_alive_s=-1.0))
            return result.model_id

        case = Case(runner, provider, ModelSpec.parse(runner.run(install())).with_backend("candle"))
        yield case
        runner.run(registry.close())


def test_a_reply_streams_and_ends_with_the_whole_of_it(case: Case) -> None:
    chunks, result = case.ask(case.request())
    assert result.message.content == "".join(chunk.text for chunk in chunks) != ""
    assert result.message.role == "assistant"
    assert result.usage.prompt_tokens > 0
    assert 0 < result.usage.completion_tokens <= 16
    assert result.finish_reason in ("stop", "length")
    assert (result.model, result.backend) == (case.spec.name, case.provider.name)


def test_times_are_told(case: Case) -> None:
    _, result = case.ask(case.request())
    times = result.timings
    assert times.queue_ms >= 0
    assert times.load_ms >= 0
    assert times.first_token_ms is not None
    assert times.first_token_ms > 0


def test_the_same_greedy_request_gives_the_same_reply(case: Case) -> None:
    assert case.ask(case.request())[1].message == case.ask(case.request())[1].message


def test_a_prompt_is_answered_as_one_message_of_the_user(case: Case) -> None:
    _, chatted = case.ask(case.request("Say hello."))
    _, prompted = case.ask(case.request(messages=(), prompt="Say hello."))
    assert prompted.message.content == chatted.message.content


def test_a_raw_prompt_is_taken_as_it_is(case: Case) -> None:
    _, raw = case.ask(case.request(messages=(), prompt="The capital of France is", raw=True))
    _, templated = case.ask(case.request("The capital of France is"))
    assert raw.usage.prompt_tokens <= templated.usage.prompt_tokens


def test_max_tokens_ends_a_reply_with_length(case: Case) -> None:
    _, result = case.ask(case.request("Count from 1 to 100.", options=SamplingOptions(temperature=0.0, max_tokens=3)))
    assert (result.finish_reason, result.usage.completion_tokens) == ("length", 3)


def test_a_stop_string_is_not_part_of_the_reply(case: Case) -> None:
    _, whole = case.ask(case.request())
    stop = whole.message.content[2:6]
    _, result = case.ask(case.request(options=SamplingOptions(temperature=0.0, seed=1, max_tokens=16, stop=(stop,))))
    assert stop not in result.message.content
    assert result.finish_reason == "stop"


def test_a_reply_fits_its_schema(case: Case) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    options = SamplingOptions(temperature=0.0, seed=1, max_tokens=64)
    _, result = case.ask(case.request("Is water wet? Answer in JSON.", schema=schema, options=options))
    assert isinstance(json.loads(result.message.content)["ok"], bool)


def test_a_reply_that_was_cut_before_it_fits_its_schema_is_a_violation(case: Case) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    options = SamplingOptions(temperature=0.0, seed=1, max_tokens=1)
    with pytest.raises(SchemaViolation):
        case.ask(case.request(schema=schema, options=options))


def test_a_closed_stream_makes_room_for_the_next(case: Case) -> None:
    async def first_piece() -> None:
        endless = SamplingOptions(temperature=0.0, max_tokens=400)
        async with aclosing(case.provider.chat(case.request(options=endless), client="me")) as chunks:
            await anext(chunks)

    for _ in range(3):
        case.run(first_piece())
    case.ask(case.request())


def test_clients_are_answered_side_by_side(case: Case) -> None:
    async def together() -> list[tuple[list[ChatChunk], ChatResult]]:
        return await asyncio.gather(*(case._ask(case.request(f"Say {n}."), f"client {n}") for n in range(4)))

    assert [result.message.role for _, result in case.run(together())] == ["assistant"] * 4


def test_equal_texts_have_equal_vectors_of_length_one(case: Case) -> None:
    async def embed(texts: list[str]) -> Any:
        return await case.provider.embed(case.spec, texts, normalize=True, client="me")

    vectors = case.run(embed(["a cat", "a dog", "a cat"]))
    size = 4 * vectors.dimensions
    assert (vectors.count, len(vectors.data)) == (3, 3 * size)
    rows = [struct.unpack(f"<{vectors.dimensions}f", vectors.data[at : at + size]) for at in range(0, 3 * size, size)]
    assert rows[0] == pytest.approx(rows[2], abs=1e-3)
    assert rows[0] != pytest.approx(rows[1], abs=1e-3)
    assert all(math.hypot(*row) == pytest.approx(1, abs=1e-3) for row in rows)
    assert vectors.usage.prompt_tokens > 0
    with pytest.raises(InvalidRequest):
        case.run(embed([]))


def test_a_text_has_tokens_and_always_the_same(case: Case) -> None:
    tokens = case.run(case.provider.tokenize(case.spec, "hello world"))
    assert len(tokens) >= 2
    assert all(isinstance(token, int) for token in tokens)
    assert case.run(case.provider.tokenize(case.spec, "hello world")) == tokens


def test_a_loaded_model_is_listed_and_described(case: Case) -> None:
    if case.keeps_models:
        loaded = case.run(case.provider.load(case.spec, LoadOptions(keep_alive_s=-1.0)))
        assert loaded.model == case.spec.name
        assert case.spec.name in [model.model for model in case.run(case.provider.loaded())]
    else:
        with pytest.raises(Unsupported, match="'load'"):
            case.run(case.provider.load(case.spec, LoadOptions()))
        assert case.run(case.provider.loaded()) == []
    info = case.run(case.provider.info(case.spec))
    assert (info.id, info.backend, info.loaded) == (case.spec.name, case.provider.name, case.keeps_models)
    assert "chat" in info.capabilities


def test_the_backend_says_that_it_is_ready(case: Case) -> None:
    health = case.run(case.provider.health())
    assert health.configured
    assert health.ready
    assert health.reason is None
