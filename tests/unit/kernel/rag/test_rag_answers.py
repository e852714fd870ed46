"""Prompts made of passages, and the passages that an answer names."""

from __future__ import annotations

import asyncio

import pytest

from llmspell_kernel.services.rag.answers import Prompt, cited, fitting
from llmspell_protocol.rag.documents import Hit


def hit(number: int, text: str = "water rises twice") -> Hit:
    return Hit(
        id=f"d#{number}",
        document="d",
        title="Tides",
        source=None,
        text=text,
        score=1.0,
        metadata={},
        page=3,
        section="Causes",
        line=1,
        start=0,
        end=len(text),
        tokens=3,
        by_words=1,
        by_vectors=None,
    )


async def words(text: str) -> int:
    return len(text.split())


def fitted(count: int, context: int | None, max_tokens: int | None = None) -> Prompt:
    hits = [hit(number) for number in range(count)]
    return asyncio.run(fitting("when?", hits, context=context, max_tokens=max_tokens, count=words))


def test_passages_are_numbered_and_say_where_they_are_from() -> None:
    asked = fitted(2, None).messages[1].content
    assert "[1] Tides · Causes · page 3\nwater rises twice" in asked
    assert "[2] Tides" in asked
    assert asked.endswith("Question: when?")


def test_the_model_is_told_to_answer_from_the_passages_alone() -> None:
    told = fitted(1, None).messages[0].content
    assert "nothing but the passages" in told
    assert "do not hold the answer" in told


def test_as_many_passages_go_as_the_context_has_room_for() -> None:
    prompt = fitted(100, 800, 200)
    assert prompt.left_out > 0
    assert len(prompt.hits) + prompt.left_out == 100
    used = asyncio.run(words("\n".join(message.content for message in prompt.messages)))
    one_more = fitted(len(prompt.hits) + 1, None)
    more = asyncio.run(words("\n".join(message.content for message in one_more.messages)))
    assert used <= 800 - 200 - 64 < more


def test_the_best_passage_goes_in_any_case() -> None:
    prompt = fitted(5, 20)
    assert [one.id for one in prompt.hits] == ["d#0"]
    assert prompt.left_out == 4


def test_nothing_is_left_out_where_the_context_is_not_known() -> None:
    assert fitted(100, None).left_out == 0


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("Twice a day [1].", {1}),
        ("[1][3] and [2, 3]; [2;1]", {1, 2, 3}),
        ("a[9] [0] [4]", set()),
        ("none", set()),
        ("[1", set()),
    ],
)
def test_the_passages_that_an_answer_names_are_found(answer: str, numbers: set[int]) -> None:
    assert cited(answer, 3) == numbers
