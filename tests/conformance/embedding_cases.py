"""Embeddings and tokens of every engine."""

from __future__ import annotations

import array
import asyncio
import math
from collections.abc import Sequence

import pytest

from llmspell_protocol.errors import ContextLengthExceeded
from llmspell_protocol.models import Embeddings
from tests.conformance.engine_case import Cases, Subject, ask, result_of

CASES = Cases()


def rows(embeddings: Embeddings) -> list[array.array[float]]:
    """The vectors of an answer."""
    values = array.array("f", embeddings.data)
    assert len(values) == embeddings.count * embeddings.dimensions
    return [values[at : at + embeddings.dimensions] for at in range(0, len(values), embeddings.dimensions)]


@CASES.case()
async def embeddings_have_length_one_when_normalized_and_order_when_not(subject: Subject) -> None:
    texts = ["a cat sits on the mat", "a cat sat on a mat", "quarterly revenue grew by nine percent"]
    embeddings = await subject.embed(texts, normalize=True)
    assert (embeddings.count, len(embeddings.data)) == (3, 3 * embeddings.dimensions * 4)
    assert embeddings.usage.prompt_tokens == sum([len(await subject.tokenize(text)) for text in texts])
    cat, mat, money = rows(embeddings)
    assert all(math.isclose(math.hypot(*row), 1.0, abs_tol=1e-3) for row in (cat, mat, money))
    assert _dot(cat, mat) > _dot(cat, money)
    plain = rows(await subject.embed(texts[:1], normalize=False))[0]
    assert math.hypot(*plain) > 1.5
    assert _dot(plain, cat) / math.hypot(*plain) > 0.999


LONG_TEXT = (
    "The old lighthouse keeper climbed the narrow stairs every evening to light the lamp before the ships came home"
)


@CASES.case()
async def an_embedding_is_the_mean_over_the_whole_text(subject: Subject) -> None:
    texts = [LONG_TEXT, f"{LONG_TEXT} again"]
    before, after = rows(await subject.embed(texts, normalize=True))
    # The last token alone would move far (0.94), the first one not at all.
    assert 0.99 < _dot(before, after) < 0.9999


@CASES.case()
async def a_text_has_the_same_embedding_alone_among_others_and_beside_a_chat(subject: Subject) -> None:
    texts = [LONG_TEXT, "cat", f"{LONG_TEXT} again", "Bananas are cheap", f"{LONG_TEXT} slowly", "cat"]
    alone = [rows(await subject.embed([text], normalize=True))[0] for text in texts]
    together, others, _ = await asyncio.gather(
        subject.embed(texts, normalize=True),
        subject.embed(texts[::-1], normalize=True),
        result_of(subject, ask("Tell me about the sea.", options={"max_tokens": 40})),
    )
    for vectors in (rows(together), rows(others)[::-1]):
        assert [round(_dot(one, other), 3) for one, other in zip(alone, vectors, strict=True)] == [1.0] * len(texts)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


@CASES.case()
async def a_text_that_is_too_long_to_embed_is_refused_with_both_numbers(subject: Subject) -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        await subject.embed(["word " * 2000], normalize=True)
    assert caught.value.details["prompt_tokens"] > caught.value.details["limit"] > 0


@CASES.case()
async def embedding_leaves_the_chat_that_runs_beside_it_alone(subject: Subject) -> None:
    request = ask("Tell me about the sea.", options={"max_tokens": 40})
    await result_of(subject, request)
    alone = await result_of(subject, request)
    beside, embeddings = await asyncio.gather(
        result_of(subject, request), subject.embed(["one", "two"], normalize=True)
    )
    assert embeddings.count == 2
    assert beside.usage.completion_tokens == alone.usage.completion_tokens
    assert beside.message.content[:20] == alone.message.content[:20]


@CASES.case()
async def many_texts_are_counted_as_each_is_alone(subject: Subject) -> None:
    texts = [LONG_TEXT, "", "cat", "<|im_start|>", "Ümlaute, 汉字 🙂", *(f"text {number}" for number in range(300))]
    counted = await subject.count_tokens(texts)
    assert list(counted.counts)[:3] == [len(await subject.tokenize(text)) for text in texts[:3]]
    assert len(counted.counts) == len(texts)
    embedded = await subject.embed([LONG_TEXT], normalize=True)
    assert embedded.usage.prompt_tokens == counted.counts[0] + counted.added


@CASES.case()
async def tokens_are_the_models_own(subject: Subject) -> None:
    assert await subject.tokenize("Hello world") == [19556, 905]
    assert await subject.tokenize("") == []
    assert len(await subject.tokenize("<|im_start|>")) > 1, "a text is not a place for special tokens"
