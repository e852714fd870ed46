"""How many tokens of context a model gets, and what is said where it gets fewer."""

from __future__ import annotations

import pytest

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest
from llmspell_providers.candle.context_size import ContextSize, choose, demand_trained, with_way_out
from llmspell_providers.residency.room import Room

PLENTY = Room(10**12, 10**12)
A_TOKEN = 1000


def _chosen(setting: object = "auto", trained: int | None = 131_072, room: Room = PLENTY, **more: bool) -> ContextSize:
    given = {"chats": True, **more}
    return choose(setting, trained, chats=given["chats"], room=room, needs=lambda tokens: A_TOKEN * tokens)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trained", "chats", "tokens", "reason"),
    [
        (131_072, True, 8192, "the most that auto takes"),
        (None, True, 8192, "the most that auto takes"),
        (8192, True, 8192, "all that the model was trained for"),
        (2048, True, 2048, "all that the model was trained for"),
        (512, False, 512, "all that the model was trained for"),
        (8192, False, 4096, "the most that auto takes for embeddings"),
    ],
)
def test_auto_is_the_models_own_context_up_to_a_limit(
    trained: int | None, chats: bool, tokens: int, reason: str
) -> None:
    assert _chosen(trained=trained, chats=chats) == ContextSize(tokens, reason)


@pytest.mark.parametrize(
    ("free", "after_evictions", "tokens", "reason"),
    [
        (8192, 8192, 8192, "the most that auto takes"),
        (8191, 8192, 6144, "other models leave no memory for more"),
        # Nothing is unloaded for more than the usual context, but for the usual one it is.
        (4096, 9000, 4096, "other models leave no memory for more"),
        (1024, 9000, 8192, "the most that auto takes"),
        (1024, 5000, 4096, "the memory budget allows no more"),
        (0, 1100, 1024, "the memory budget allows no more"),
        (0, 0, 512, "the memory budget allows no more"),
    ],
)
def test_auto_takes_what_the_memory_budget_allows_and_says_so(
    free: int, after_evictions: int, tokens: int, reason: str
) -> None:
    room = Room(free * A_TOKEN, after_evictions * A_TOKEN)
    assert _chosen(room=room) == ContextSize(tokens, reason)


def test_a_context_of_the_settings_is_taken_as_it_is_and_never_beyond_the_model() -> None:
    assert _chosen(16_384) == ContextSize(16_384, "providers.candle.context_size")
    assert _chosen(16_384, 2048) == ContextSize(2048, "the model was trained for no more")


def test_more_than_a_model_was_trained_for_is_refused_with_the_number() -> None:
    demand_trained("m", 2048, 2048)
    demand_trained("m", 10**6, None)
    with pytest.raises(InvalidRequest, match="num_ctx 4096 is more than the 2048 tokens that 'm' was trained for"):
        demand_trained("m", 4096, 2048)


@pytest.mark.parametrize(
    ("prompt", "limit", "trained", "num_ctx"),
    [
        (5064, 4096, 8192, 8192),
        (5064, 4096, None, 8192),
        (8190, 4096, 131_072, 16_384),
        (40_000, 4096, 131_072, 65_536),
        (8000, 4096, 8192, 8192),
        (9000, 4096, 8192, None),
        (9000, 8192, 8192, None),
    ],
)
def test_an_overflow_names_the_context_that_would_hold_the_prompt(
    prompt: int, limit: int, trained: int | None, num_ctx: int | None
) -> None:
    told = with_way_out(ContextLengthExceeded("m", details={"prompt_tokens": prompt, "limit": limit}), "m", trained)
    assert told.details.get("num_ctx") == num_ctx
    assert told.hint is not None
    assert (f"num_ctx = {num_ctx}" if num_ctx else "shorten it: 'm' was trained for no more than 8192") in told.hint
