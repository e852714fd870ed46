"""How many tokens a slot of a model gets, and why: what was asked for, the settings, the model, or memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from llmspell_protocol.errors import ContextLengthExceeded, InvalidRequest
from llmspell_providers.residency.room import Room

LARGEST_AUTO = 8192
"""What `auto` takes at most: more is memory that few conversations use."""
USUAL = 4096
"""What other models in memory are unloaded for; beyond this, `auto` takes what they leave free. A model that makes
embeddings alone reads a text in one step, whose memory grows with the square of its length: it gets no more."""
_ROOM_TO_ANSWER = 256
"""Tokens that a larger context leaves for the reply at least."""
_STEPS = (8192, 6144, 4096, 3072, 2048, 1024, 512)

Wish = Literal["any", "at_least", "exactly"]
"""Whether a model that is loaded with another context suits."""


@dataclass(frozen=True, slots=True)
class ContextSize:
    """A number of tokens and the reason for it, in words that follow `context of 8192 tokens: `."""

    tokens: int
    reason: str


def demand_trained(model: str, wanted: int, trained: int | None) -> None:
    """Raises `InvalidRequest` for a context that is longer than the model was trained for; None: not known."""
    if trained is not None and wanted > trained:
        raise InvalidRequest(
            f"num_ctx {wanted} is more than the {trained} tokens that '{model}' was trained for",
            hint=f"num_ctx {trained} is the most",
            details={"num_ctx": wanted, "limit": trained},
        )


def with_way_out(error: ContextLengthExceeded, model: str, trained: int | None) -> ContextLengthExceeded:
    """The error for a prompt that is too long, with the context that would hold it, where the model can have one.

    `num_ctx` in its details is that context.
    """
    prompt, limit = error.details.get("prompt_tokens"), error.details.get("limit")
    if not isinstance(prompt, int) or not isinstance(limit, int):
        return error
    details = {**error.details, "trained": trained}
    if trained is not None and trained <= max(limit, prompt):
        most = f"'{model}' was trained for no more than {trained} tokens"
        return ContextLengthExceeded(error.message, hint=f"shorten it: {most}", details=details)
    wanted = 2 * limit
    while wanted < prompt + _ROOM_TO_ANSWER:
        wanted *= 2
    num_ctx = wanted if trained is None else min(wanted, trained)
    hint = (
        f"shorten it, or ask for a larger context: num_ctx = {num_ctx} (options, LocalLLM.load, model load --num-ctx)"
    )
    return ContextLengthExceeded(error.message, hint=hint, details={**details, "num_ctx": num_ctx})


def choose(
    setting: Literal["auto"] | int, trained: int | None, *, chats: bool, room: Room, needs: Callable[[int], int]
) -> ContextSize:
    """The context for a model where no other was asked for.

    `needs` are the bytes of the model with a context.
    """
    if setting != "auto":
        if trained is not None and trained < setting:
            return ContextSize(trained, "the model was trained for no more")
        return ContextSize(setting, "providers.candle.context_size")
    most = LARGEST_AUTO if chats else USUAL
    if trained is not None and trained <= most:
        most, reason = trained, "all that the model was trained for"
    else:
        reason = "the most that auto takes" if chats else "the most that auto takes for embeddings"
    sizes = [most, *(step for step in _STEPS if step < most)]
    for size in sizes:
        if size < min(USUAL, most):
            break
        if needs(size) <= room.free:
            return ContextSize(size, reason if size == most else "other models leave no memory for more")
    for size in sizes:
        if needs(size) <= room.after_evictions:
            return ContextSize(size, reason if size == most else "the memory budget allows no more")
    # It does not fit at all, which the load says with the numbers.
    return ContextSize(sizes[-1], "the memory budget allows no more")
