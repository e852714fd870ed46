"""What every backend does alike, and that it does what it declares and refuses what it declares to lack.

The same cases over the mock, xllamacpp, llama-server, an OpenAI-compatible server that is not ours (llama.cpp's), a
server that speaks Anthropic's events and, with `make test-engines`, llama-cpp-python and torch; over Ollama in
`test_ollama_replayed.py`.
"""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from llmspell_protocol.abilities import TOLD, WORDS
from llmspell_protocol.errors import ContextLengthExceeded, SchemaViolation, Unsupported
from llmspell_protocol.models import ChatChunk, ChatMessage, ChatRequest, ChatResult, LoadOptions, SamplingOptions
from llmspell_providers.base import Provider
from llmspell_providers.capabilities import Capabilities
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.conformance.proofs import PROOFS
from tests.support.anthropic_server import Messages
from tests.support.chat_turns import turn
from tests.support.gguf_files import gguf_file
from tests.support.llama_http import LlamaHttp
from tests.support.llama_server import launcher
from tests.support.model_server import ModelServer
from tests.support.ranker_files import random_ranker
from tests.support.settings import settings_from
from tests.support.templates import with_template
from tests.support.torch_models import smollm2_safetensors, tiny_ranker

GREEDY = SamplingOptions(temperature=0.0, max_tokens=16)
SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
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
    format: str | None = None
    is_listed: bool = True
    pulled: ModelSpec | None = None
    """What a pull is tried with; None: the model itself."""
    removable: ModelSpec | None = None
    """What is pulled to be removed; None: the model itself."""
    unloaded: ModelSpec | None = None
    """What is loaded to be unloaded; None: the model itself."""
    templated: Case | None = None
    """The same backend with a model whose chat template has tools and thinking, where that is another one."""
    thinker: Case | None = None
    ranker: Case | None = None
    """The same kind of backend with a model that scores texts, where that is another one."""
    calls_unasked: bool = True
    """Whether the model calls a tool without being made to."""
    is_made_to_call: bool = True
    """Whether a demanded call comes; llama.cpp's own server lets its model talk on instead, which is an error."""
    saw: Callable[[], bool] | None = None
    """Whether the server was sent an image; None: the model is a real one, and blind."""
    limit: int = 3
    stop: str | None = None
    """A stop string that is in the reply; None: one that is taken from it."""
    texts: Sequence[str] = ("a cat", "a dog", "a cat")
    schema: Mapping[str, Any] = field(default_factory=lambda: SCHEMA)
    schema_question: str = "Is water wet? Answer in JSON."

    @property
    def capabilities(self) -> Capabilities:
        """What the backend declares."""
        return self.provider.capabilities(self.format)

    def demand(self, word: str) -> None:
        """Skips a test of something that is declared to be lacking: that it is refused is a test of its own."""
        if word in self.capabilities.lacks:
            pytest.skip(f"{self.provider.name} declares that it lacks {word}: {self.capabilities.lacks[word]}")

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
        chunks = [chunk async for chunk in turn(self.provider, request, client=client)]
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


def _remote(base_url: str, name: str = "box") -> str:
    return f'[providers.{name}]\nprovider_type = "openai"\nbase_url = "{base_url}"\napi_key = "{KEY}"\n'


@pytest.fixture(
    scope="module",
    params=[
        "mock",
        "anthropic",
        pytest.param("xllamacpp", marks=pytest.mark.slow),
        pytest.param("llama-server", marks=pytest.mark.slow),
        pytest.param("openai", marks=pytest.mark.slow),
        pytest.param("llama-cpp-python", marks=pytest.mark.engines),
        pytest.param("torch", marks=pytest.mark.engines),
    ],
)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Each backend with its model loaded until the cases are through."""
    home = tmp_path_factory.mktemp("providers")
    with asyncio.Runner() as runner, ExitStack() as closing:
        if request.param == "mock":
            registry = ProviderRegistry(settings_from("", home), log_directory=home, environment={})
            spec = ModelSpec.parse("mock/echo@mock")
            yield Case(runner, registry.get("mock"), spec, is_listed=False, calls_unasked=False)
            return
        if request.param == "anthropic":
            server = closing.enter_context(ModelServer(Messages(), models=("claude",)))
            table = f'[providers.anthropic]\nbase_url = "{server.base_url.removesuffix("/v1")}"\napi_key = "{KEY}"\n'
            registry = ProviderRegistry(settings_from(table, home), log_directory=home, environment={})
            spec = ModelSpec.parse("claude@anthropic")
            case = Case(runner, registry.get("anthropic"), spec, keeps_models=False)
            yield replace(case, saw=lambda: '"media_type": "image/png"' in json.dumps(server.posts[-1].body))
            runner.run(registry.close())
            return
        model: Path = request.getfixturevalue("smollm2_path")
        if request.param == "openai":
            plain = closing.enter_context(LlamaHttp(model, key=KEY))
            templated = closing.enter_context(LlamaHttp(with_template(model, home), key=KEY))
            ranks = closing.enter_context(LlamaHttp(random_ranker(home / "ranker.gguf"), key=KEY, ranks=True))
            tables = _remote(plain.base_url) + _remote(templated.base_url, name="toolbox")
            tables += _remote(ranks.base_url, name="ranker")
            registry = ProviderRegistry(settings_from(tables, home), log_directory=home, environment={})
            caller = Case(runner, registry.get("toolbox"), ModelSpec.parse("smollm2@toolbox"))
            spec = ModelSpec.parse("smollm2@box")
            case = Case(runner, registry.get("box"), spec, keeps_models=False, templated=caller, is_made_to_call=False)
            case.ranker = Case(runner, registry.get("ranker"), ModelSpec.parse("smollm2@ranker"))
            yield case
            runner.run(registry.close())
            return
        engine = request.param
        if engine == "torch":
            engine, model = "xllamacpp", smollm2_safetensors()
        settings = settings_from(_candle(engine, home), home)
        registry = ProviderRegistry(settings, log_directory=home, environment={})
        provider = registry.get("candle")

        async def install(path: Path) -> ModelSpec:
            source = ModelSpec.parse(f"file://{path}@candle")
            steps = [step async for step in provider.pull(source, force=False, quantization=None)]
            assert steps[-1].result is not None
            return ModelSpec.parse(steps[-1].result.model_id).with_backend("candle")

        spec = runner.run(install(model))
        runner.run(provider.load(spec, LoadOptions(keep_alive_s=-1.0)))
        other = home / f"other{model.suffix}"
        (shutil.copytree if model.is_dir() else shutil.copy)(model, other)
        small = home / "small.gguf"
        small.write_bytes(gguf_file(2_000_000))
        case = Case(runner, provider, spec, format="safetensors" if request.param == "torch" else "gguf")
        case.pulled, case.removable = (
            ModelSpec.parse(f"file://{model}@candle"),
            ModelSpec.parse(f"file://{small}@candle"),
        )
        if request.param in ("xllamacpp", "llama-server"):
            case.templated = replace(case, spec=runner.run(install(with_template(model, home))))
            runner.run(provider.load(case.templated.spec, LoadOptions(keep_alive_s=-1.0)))
        case.unloaded = runner.run(install(other))
        if "rerank" not in case.capabilities.lacks:
            own = random_ranker(home / "ranker.gguf") if case.format == "gguf" else tiny_ranker()
            case.ranker = replace(case, spec=runner.run(install(own)))
            runner.run(provider.load(case.ranker.spec, LoadOptions(keep_alive_s=-1.0)))
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
    case.demand("raw")
    _, raw = case.ask(case.request(messages=(), prompt="The capital of France is", raw=True))
    _, templated = case.ask(case.request("The capital of France is"))
    assert raw.usage.prompt_tokens <= templated.usage.prompt_tokens


def test_max_tokens_ends_a_reply_with_length(case: Case) -> None:
    _, result = case.ask(
        case.request("Count from 1 to 100.", options=SamplingOptions(temperature=0.0, max_tokens=case.limit))
    )
    assert (result.finish_reason, result.usage.completion_tokens) == ("length", case.limit)


def test_a_stop_string_is_not_part_of_the_reply(case: Case) -> None:
    stop = case.stop or case.ask(case.request())[1].message.content[2:6]
    _, result = case.ask(case.request(options=SamplingOptions(temperature=0.0, max_tokens=16, stop=(stop,))))
    assert stop not in result.message.content
    assert result.finish_reason == "stop"


def test_a_reply_fits_its_schema(case: Case) -> None:
    case.demand("schema")
    options = SamplingOptions(temperature=0.0, max_tokens=96)
    _, result = case.ask(case.request(case.schema_question, schema=case.schema, options=options))
    jsonschema.validate(json.loads(result.message.content), case.schema)


def test_a_reply_that_was_cut_before_it_fits_its_schema_is_a_violation(case: Case) -> None:
    case.demand("schema")
    options = SamplingOptions(temperature=0.0, max_tokens=1)
    with pytest.raises(SchemaViolation):
        case.ask(case.request(case.schema_question, schema=case.schema, options=options))


def test_a_closed_stream_makes_room_for_the_next(case: Case) -> None:
    async def first_piece() -> None:
        endless = SamplingOptions(temperature=0.0, max_tokens=400)
        async with aclosing(turn(case.provider, case.request(options=endless))) as chunks:
            await anext(chunks)

    for _ in range(3):
        case.run(first_piece())
    case.ask(case.request())


def test_clients_are_answered_side_by_side(case: Case) -> None:
    async def together() -> list[tuple[list[ChatChunk], ChatResult]]:
        return await asyncio.gather(*(case._ask(case.request(f"Say {n}."), f"client {n}") for n in range(4)))

    assert [result.message.role for _, result in case.run(together())] == ["assistant"] * 4


def test_equal_texts_have_equal_vectors_of_length_one(case: Case) -> None:
    case.demand("embed")

    async def embed(texts: Sequence[str]) -> Any:
        return await case.provider.embed(case.spec, texts, normalize=True, client="me")

    vectors = case.run(embed(case.texts))
    size = 4 * vectors.dimensions
    assert (vectors.count, len(vectors.data)) == (len(case.texts), len(case.texts) * size)
    rows = [
        struct.unpack(f"<{vectors.dimensions}f", vectors.data[at : at + size])
        for at in range(0, len(vectors.data), size)
    ]
    for text, row in zip(case.texts[1:], rows[1:], strict=True):
        assert (row == pytest.approx(rows[0], abs=1e-3)) == (text == case.texts[0])
    assert all(math.hypot(*row) == pytest.approx(1, abs=1e-3) for row in rows)
    assert vectors.usage.prompt_tokens > 0


def test_a_text_has_tokens_and_always_the_same(case: Case) -> None:
    case.demand("tokenize")
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
    info = case.run(case.provider.info(case.spec))
    assert (info.id, info.backend, info.loaded) == (case.spec.name, case.provider.name, case.keeps_models)
    assert "chat" in info.capabilities


def test_the_backend_says_that_it_is_ready(case: Case) -> None:
    health = case.run(case.provider.health())
    assert health.configured
    assert health.ready
    assert health.reason is None


@pytest.mark.parametrize("word", WORDS)
def test_what_is_declared_is_done_and_what_is_lacking_is_refused_by_its_word(case: Case, word: str) -> None:
    lacks = case.capabilities.lacks
    if word not in lacks:
        PROOFS[word](case)
    elif word in TOLD:
        if word == "truncate":
            _is_not_cut(case)
        else:
            with pytest.raises(AssertionError):
                PROOFS[word](case)
    else:
        with pytest.raises(Unsupported) as caught:
            PROOFS[word](case)
        # The first that is missing is named: no tool can be forced where none can be called.
        implied = {"tool_choice": "tools", "plain_vectors": "embed"}.get(word)
        assert caught.value.details["operation"] in ({word, implied} if implied in lacks else {word})
        assert caught.value.details["backend"] == case.provider.name


def _is_not_cut(case: Case) -> None:
    text = "word " * 700
    try:
        _, result = case.ask(case.request(text, truncate=True))
    except ContextLengthExceeded:
        return
    assert result.usage.prompt_tokens >= 700
