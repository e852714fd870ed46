"""Embeddings with PyTorch: the same as plain transformers and the model's own card give, through a real worker."""

from __future__ import annotations

import array
import asyncio
import json
import math
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, Unsupported
from llmspell_protocol.models import ChatMessage, ChatRequest, Embeddings
from llmspell_providers.candle.process import Launch, ModelProcess
from tests.support.torch_models import TinyT5

pytestmark = [pytest.mark.engines, pytest.mark.slow]

TEXTS = [
    "This is an example sentence",
    "Each sentence is converted",
    "The old lighthouse keeper climbed the narrow stairs every evening to light the lamp before the ships came home",
    "",
    "cat",
    "Ein Satz mit Ümläuten, 汉字 and 🙂",
]

REFERENCE = """
import json, sys
import torch
from transformers import AutoModel, AutoTokenizer

directory, kind, texts = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
tokenizer = AutoTokenizer.from_pretrained(directory)
if kind == "t5":
    from transformers import T5EncoderModel
    model = T5EncoderModel.from_pretrained(directory).eval()
else:
    model = AutoModel.from_pretrained(directory).eval()
rows = []
for text in texts:
    inputs = tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        hidden = model(**inputs)[0]
    if kind == "cls":
        vector = hidden[:, 0]
    else:
        mask = inputs["attention_mask"].unsqueeze(-1).expand(hidden.size()).float()
        vector = torch.sum(hidden * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
    rows.append(torch.nn.functional.normalize(vector, p=2, dim=1)[0].tolist())
print(json.dumps(rows))
"""
"""The code of all-MiniLM-L6-v2's own card, and the same for CLS and for the encoder of a T5."""

MAKE_CLS_MODEL = """
import json, sys
import torch
from pathlib import Path
from transformers import AutoTokenizer, BertConfig, BertModel

source, target = map(Path, sys.argv[1:])
tokenizer = AutoTokenizer.from_pretrained(source)
torch.manual_seed(3)
config = BertConfig(vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
                    intermediate_size=64, max_position_embeddings=64)
BertModel(config).save_pretrained(target)
tokenizer.save_pretrained(target)
"""

MAKE_T5_ENCODER = """
import sys
from transformers import AutoTokenizer, T5EncoderModel

source, target = sys.argv[1:]
T5EncoderModel.from_pretrained(source).save_pretrained(target)
AutoTokenizer.from_pretrained(source).save_pretrained(target)
"""


def _python(script: str, *arguments: str | Path) -> str:
    """In a process of its own, so that PyTorch stays out of the tests'."""
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _reference(directory: Path, kind: str, texts: Sequence[str]) -> list[list[float]]:
    rows: list[list[float]] = json.loads(_python(REFERENCE, directory, kind, json.dumps(texts)))
    return rows


@asynccontextmanager
async def _loaded(directory: Path, log: Path) -> AsyncIterator[ModelProcess]:
    launch = Launch(
        engine="torch", format="safetensors", path=directory / "model.safetensors", model="encoder", log_path=log
    )
    process = await ModelProcess.start(launch, on_exit=lambda: None)
    try:
        yield process
    finally:
        await process.end()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def encoder(runner: asyncio.Runner, minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelProcess]:
    """all-MiniLM-L6-v2 in a worker."""
    context = _loaded(minilm, tmp_path_factory.mktemp("minilm") / "worker.log")
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


def _rows(embeddings: Embeddings) -> list[list[float]]:
    values = array.array("f", embeddings.data)
    if sys.byteorder == "big":
        values.byteswap()
    width = embeddings.dimensions
    return [list(values[at : at + width]) for at in range(0, len(values), width)]


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True)) / (math.hypot(*left) * math.hypot(*right))


def _same(left: list[list[float]], right: list[list[float]]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_similarities_are_those_of_the_models_own_card(
    runner: asyncio.Runner, encoder: ModelProcess, minilm: Path
) -> None:
    rows = _rows(runner.run(encoder.embed(TEXTS, normalize=True)))
    expected = _reference(minilm, "mean", TEXTS)
    _same(rows, expected)
    for left, other in zip(rows, expected, strict=True):
        for right, another in zip(rows, expected, strict=True):
            assert _cosine(left, right) == pytest.approx(_cosine(other, another), abs=1e-5)
    assert all(math.hypot(*row) == pytest.approx(1.0, abs=1e-5) for row in rows)


def test_a_text_has_the_same_vector_alone_in_a_batch_and_beside_other_requests(
    runner: asyncio.Runner, encoder: ModelProcess
) -> None:
    texts = [f"{'word ' * (7 * number % 90)}{number}" for number in range(40)]

    async def run() -> None:
        alone = [_rows(await encoder.embed([text], normalize=True))[0] for text in texts]
        together, backwards = await asyncio.gather(
            encoder.embed(texts, normalize=True), encoder.embed(texts[::-1], normalize=True)
        )
        assert (together.count, together.dimensions) == (40, 384)
        _same(_rows(together), alone)
        _same(_rows(backwards)[::-1], alone)

    runner.run(run())


def test_a_model_that_normalizes_does_so_unasked(runner: asyncio.Runner, encoder: ModelProcess) -> None:
    row = _rows(runner.run(encoder.embed(TEXTS[:1], normalize=False)))[0]
    assert math.hypot(*row) == pytest.approx(1.0, abs=1e-5)


def test_a_text_longer_than_the_models_own_limit_is_refused_with_both_numbers(
    runner: asyncio.Runner, encoder: ModelProcess
) -> None:
    assert encoder.loaded.context_size == 256
    at_most = runner.run(encoder.embed(["word " * 254], normalize=True))
    assert at_most.usage.prompt_tokens == 256  # with the two that mark beginning and end
    with pytest.raises(ContextLengthExceeded, match="text 2 of 2 has 257 tokens, the model reads 256") as caught:
        runner.run(encoder.embed(["short", "word " * 255], normalize=True))
    assert (caught.value.details["prompt_tokens"], caught.value.details["limit"]) == (257, 256)


def test_a_request_that_is_given_up_leaves_the_worker_to_others(runner: asyncio.Runner, encoder: ModelProcess) -> None:
    async def run() -> None:
        before = _rows(await encoder.embed(TEXTS, normalize=True))
        left = asyncio.create_task(encoder.embed(["word " * 200] * 2000, normalize=True))
        async with asyncio.timeout(60):
            # While this answer is waited for, the long request goes out.
            await encoder.stats()
            left.cancel()
            _same(_rows(await encoder.embed(TEXTS, normalize=True)), before)
        # What is left of it would take the worker far longer than this.
        async with asyncio.timeout(60):
            while encoder.busy:
                await encoder.stats()

    runner.run(run())


def test_an_encoder_does_not_chat(runner: asyncio.Runner, encoder: ModelProcess) -> None:
    async def run() -> None:
        request = ChatRequest(model="encoder", messages=[ChatMessage(role="user", content="Hello")])
        with pytest.raises(Unsupported, match="makes embeddings and does not chat"):
            await anext(encoder.chat(request))

    runner.run(run())


def test_a_model_that_pools_by_its_first_token_is_asked_for_that(
    runner: asyncio.Runner, minilm: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "cls"
    _python(MAKE_CLS_MODEL, minilm, directory)
    modules: list[dict[str, Any]] = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling.config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    texts = [text for text in TEXTS if text]

    async def run() -> None:
        async with _loaded(directory, tmp_path / "worker.log") as process:
            _same(_rows(await process.embed(texts, normalize=True)), _reference(directory, "cls", texts))
            plain = _rows(await process.embed(texts[:1], normalize=False))[0]
            assert math.hypot(*plain) > 1.5
            assert process.loaded.context_size == 64  # the table of positions

    runner.run(run())


def test_half_a_t5_that_was_saved_as_an_encoder_embeds_by_the_mean(
    runner: asyncio.Runner, tiny_t5: TinyT5, tmp_path: Path
) -> None:
    directory = tmp_path / "t5"
    _python(MAKE_T5_ENCODER, tiny_t5.single, directory)
    texts = ["three one four", "two", "nine eight seven six five"]

    async def run() -> None:
        async with _loaded(directory, tmp_path / "worker.log") as process:
            _same(_rows(await process.embed(texts, normalize=True)), _reference(directory, "t5", texts))

    runner.run(run())


def test_an_encoder_that_does_not_say_what_it_was_saved_as_embeds_all_the_same(
    runner: asyncio.Runner, encoder: ModelProcess, minilm: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "unnamed"
    shutil.copytree(minilm, directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "architectures": None}))

    async def run() -> None:
        named = await encoder.embed(TEXTS[:1], normalize=True)
        async with _loaded(directory, tmp_path / "worker.log") as unnamed:
            _same(_rows(await unnamed.embed(TEXTS[:1], normalize=True)), _rows(named))

    runner.run(run())
