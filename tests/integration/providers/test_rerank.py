"""Scores of texts for a question: refused where a model has none, exact where it was trained for them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, ModelLoadFailed, Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest, LoadOptions
from llmspell_protocol.scores import Scores
from llmspell_providers.base import Provider
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.chat_turns import turn
from tests.support.llama_http import LlamaHttp
from tests.support.llama_server import launcher
from tests.support.ranker_files import LONGEST, random_ranker
from tests.support.settings import settings_from
from tests.support.tiny_ranker import MOST, pair

pytestmark = pytest.mark.slow

KEY = "a-key-for-the-test"


class Ranker:
    """A provider with a loaded cross-encoder."""

    def __init__(self, registry: ProviderRegistry, runner: asyncio.Runner, backend: str = "candle") -> None:
        self.registry = registry
        self.provider: Provider = registry.get(backend)
        self.runner = runner
        self.spec = ModelSpec.parse(f"smollm2@{backend}")

    def install(self, path: Path) -> None:
        """Pulls and loads it, so that the worker is no test's own."""

        async def pull() -> ModelSpec:
            source = ModelSpec.parse(f"file://{path}@candle")
            steps = [step async for step in self.provider.pull(source, force=False, quantization=None)]
            assert steps[-1].result is not None
            spec = ModelSpec.parse(steps[-1].result.model_id).with_backend("candle")
            await self.provider.load(spec, LoadOptions(keep_alive_s=-1.0))
            return spec

        self.spec = self.runner.run(pull())

    def rerank(self, query: str, texts: Sequence[str]) -> Scores:
        """Scores of the texts."""
        return self.runner.run(self.provider.rerank(self.spec, query, texts, client="me"))


def _candle(home: Path, more: str = "") -> ProviderRegistry:
    toml = f'[providers.candle]\nmodel_directory = "{home / "models"}"\n{more}'
    return ProviderRegistry(settings_from(toml, home), log_directory=home, environment={})


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranker]:
    """A GGUF cross-encoder of random weights, with the engine that everyone has."""
    home = tmp_path_factory.mktemp("unsure")
    with asyncio.Runner() as runner:
        ranker = Ranker(_candle(home), runner)
        ranker.install(random_ranker(home / "ranker.gguf"))
        yield ranker
        runner.run(ranker.registry.close())


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(engine, marks=pytest.mark.engines) for engine in ("torch", "xllamacpp", "llama-server", "box")
    ],
)
def sure(
    request: pytest.FixtureRequest, tiny_ranker: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ranker]:
    """The cross-encoder that counts colours, as safetensors and as GGUF, here and behind a compatible server."""
    home = tmp_path_factory.mktemp("sure")
    with asyncio.Runner() as runner:
        if request.param == "box":
            with LlamaHttp(tiny_ranker / "ranker.gguf", key=KEY, ranks=True) as server:
                toml = f'[providers.box]\nprovider_type = "openai"\nbase_url = "{server.base_url}"\napi_key = "{KEY}"\n'
                registry = ProviderRegistry(settings_from(toml, home), log_directory=home, environment={})
                yield Ranker(registry, runner, "box")
                runner.run(registry.close())
            return
        is_server = request.param == "llama-server"
        more = f'engine = "llama-server"\nserver_path = "{launcher(home)}"\n' if is_server else ""
        ranker = Ranker(_candle(home, more), runner)
        ranker.install(tiny_ranker if request.param == "torch" else tiny_ranker / "ranker.gguf")
        yield ranker
        runner.run(ranker.registry.close())


def test_scores_are_in_the_order_of_the_texts_and_exact(sure: Ranker) -> None:
    rng = random.Random(5)
    query = "teal"
    counts = [rng.randint(0, MOST) for _ in range(40)]
    texts = [_text(rng, query, count) for count in counts]

    scores = sure.rerank(query.upper(), texts)

    assert [round(score) for score in scores.scores] == counts
    assert scores.usage.prompt_tokens == 40 * (3 + 1 + 4)


def _text(rng: random.Random, query: str, count: int) -> str:
    while True:
        asked, text = pair(rng, count)
        if asked == query:
            return text


def test_a_text_has_the_same_score_alone_and_among_others(unsure: Ranker) -> None:
    texts = ["red", "red blue green white black", "gold", "red blue", "teal teal teal"]

    together = unsure.rerank("red", texts).scores

    alone = [unsure.rerank("red", [text]).scores[0] for text in texts]
    assert together == pytest.approx(alone, abs=1e-4)
    assert len({round(score, 3) for score in together}) == len(texts)


def test_a_text_that_is_too_long_with_its_question_is_named_with_both_numbers(unsure: Ranker) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        unsure.rerank("red blue", ["red", "red " * LONGEST])

    details = caught.value.details
    assert (details["index"], details["limit"]) == (1, LONGEST)
    assert details["prompt_tokens"] > LONGEST


@pytest.mark.engines
def test_so_it_is_with_pytorch(sure: Ranker) -> None:
    if sure.provider.name != "candle":
        pytest.skip("a server has its own words for it")
    with pytest.raises(ContextLengthExceeded) as caught:
        sure.rerank("red blue", ["red", "red " * LONGEST])
    assert caught.value.details["limit"] == LONGEST
    assert caught.value.details["index"] == 1


def test_it_says_what_it_is_for_and_does_nothing_else(unsure: Ranker) -> None:
    info = unsure.runner.run(unsure.provider.info(unsure.spec))
    assert (info.capabilities, info.embed_tokens) == (("rerank",), LONGEST)
    supports = unsure.provider.capabilities("gguf").supports_with(info.capabilities)
    assert (supports["rerank"], supports["embed"], supports["chat"]) == (True, False, False)

    async def chat() -> None:
        request = ChatRequest(model=str(unsure.spec), messages=(ChatMessage(role="user", content="red"),))
        async for _ in turn(unsure.provider, request):
            pass

    with pytest.raises(Unsupported):
        unsure.runner.run(chat())
    with pytest.raises(Unsupported) as caught:
        unsure.runner.run(unsure.provider.embed(unsure.spec, ["red"], normalize=True, client="me"))
    assert caught.value.details["operation"] == "embed"


def test_tokens_of_a_question_and_a_text_can_be_counted(unsure: Ranker) -> None:
    counted = unsure.runner.run(unsure.provider.count_tokens(unsure.spec, ["red blue", "", "gold"]))
    assert (counted.counts, counted.added) == ([2, 0, 1], 2)


@pytest.mark.engines
def test_a_classifier_of_several_labels_is_none(tiny_ranker: Path, tmp_path: Path) -> None:
    directory = tmp_path / "classifier"
    directory.mkdir()
    for path in tiny_ranker.iterdir():
        if path.suffix != ".gguf":
            (directory / path.name).write_bytes(path.read_bytes())
    config = (directory / "config.json").read_text()
    (directory / "config.json").write_text(config.replace('"0": "LABEL_0"', '"0": "a", "1": "b"'))
    with asyncio.Runner() as runner:
        ranker = Ranker(_candle(tmp_path), runner)
        with pytest.raises((Unsupported, ModelLoadFailed), match="BertForSequenceClassification"):
            ranker.install(directory)
        runner.run(ranker.registry.close())
