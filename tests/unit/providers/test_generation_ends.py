"""Why a reply of llama.cpp's server has ended."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest, ModelError
from llmspell_providers.candle.generation import DISCARD, Generation, engine_error

CONTEXT = 100


def _ended(prompt: int, completion: int, reason: str = "length") -> Generation:
    generation = Generation(DISCARD)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    timings = {"cache_n": 0, "prompt_ms": 1.0, "predicted_ms": 1.0}
    choice = {"finish_reason": reason, "delta": {"content": "x"}}
    assert not generation.on_chunk({"choices": [choice], "usage": usage, "timings": timings})
    return generation


@pytest.mark.parametrize(
    ("prompt", "completion", "max_tokens", "reason"),
    [
        (10, 20, 20, "length"),
        (80, 20, 20, "length"),
        (80, 20, 21, "context_full"),
        (80, 19, None, "context_full"),
        (80, 12, 50, "context_full"),  # a draft would not have fitted any more
        (10, 300, 500, "context_full"),  # the engine rounds a context up
    ],
)
def test_the_counts_tell_a_limit_from_the_end_of_the_context(
    prompt: int, completion: int, max_tokens: int | None, reason: str
) -> None:
    assert _ended(prompt, completion).outcome(max_tokens, CONTEXT).finish_reason == reason


def test_an_end_that_neither_explains_is_an_error_and_no_full_context() -> None:
    with pytest.raises(ModelError, match="after 5 tokens, with 20 allowed and 85 left in the context") as caught:
        _ended(10, 5).outcome(20, CONTEXT)
    assert caught.value.retryable


@pytest.mark.parametrize("reason", ["length", "stop"])
def test_a_prompt_without_tokens_is_a_wrong_request(reason: str) -> None:
    with pytest.raises(InvalidRequest, match="the prompt has no tokens"):
        _ended(0, 0, reason).outcome(20, CONTEXT)


def test_a_text_too_long_to_be_embedded_says_both_numbers_and_the_way_out() -> None:
    said = "input (302 tokens) is too large to process. increase the physical batch size (current batch size: 256)"
    error = engine_error({"message": said})
    assert isinstance(error, ContextLengthExceeded)
    assert error.message == "a text to be embedded has 302 tokens, the engine reads 256 at once"
    assert error.details == {"prompt_tokens": 302, "limit": 256}
    assert error.hint is not None
    assert "model made for embedding" in error.hint
