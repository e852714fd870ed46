"""Drafts without a second model: what has been said before is proposed as what comes next. Decides; knows no engine.

llama.cpp looks the last tokens up in the conversation, proposes what followed them before, and has the model check all
of it in one step. The text stays the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import Speculation as Wanted

__all__ = ["DRAFT_TOKENS", "KEY_TOKENS", "SHORTEST", "Drafts", "Speculation", "Wanted", "drafts"]

Speculation = Literal["off", "ngram"]

KEY_TOKENS = 6
"""So many tokens have to agree before what followed them is proposed."""
DRAFT_TOKENS = 8
"""Longer drafts lost more where they were wrong than they won (decision 24)."""
SHORTEST = 7
"""Tokens; with shorter drafts llama.cpp proposes none at all (tried with xllamacpp 2026.10.11549)."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """The tokens of one draft; `key_tokens` have to agree before there is one."""

    key_tokens: int
    tokens: int


def drafts(wanted: Wanted, *, slots: int, batch_size: int, why_not: str | None = None) -> Drafts | None:
    """How a model is to speculate, None: not at all.

    `why_not` is what keeps this engine from it. `batch_size` is in tokens; the engine aborts the process when the
    drafts of all slots, each with the token before it, do not fit into one batch, so many slots mean short drafts.

    Raises:
        Unsupported: "ngram" was asked for by name and cannot be had.
    """
    room = batch_size // slots - 1
    if why_not is None and room < SHORTEST:
        why_not = f"{slots} slots leave {max(room, 0)} tokens of a batch of {batch_size} for the draft of each"
    if wanted == "off" or (wanted == "auto" and why_not is not None):
        return None
    if why_not is not None:
        raise Unsupported(
            f'speculation = "ngram" cannot be had: {why_not}',
            hint='ask for "auto", here or in providers.candle.speculation: models speculate where it can be had',
            details={"operation": "speculation", "key": "providers.candle.speculation"},
        )
    return Drafts(KEY_TOKENS, min(DRAFT_TOKENS, room))


def nothing_to_draft(model: str) -> Unsupported:
    """The error for drafts that were asked for by name of a model that does not chat."""
    return Unsupported(
        f"{model} makes embeddings: there is nothing to draft",
        hint="ask without speculation",
        details={"operation": "speculation"},
    )
