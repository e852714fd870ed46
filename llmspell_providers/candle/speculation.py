"""Drafts without a second model: what has been said before is proposed as what comes next. Decides; knows no engine.

llama.cpp remembers what followed what in prompts and replies, proposes what followed the last tokens before, and has
the model check all of it in one step. The text stays the model's own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from llmspell_protocol.errors import Unsupported

Wanted = Literal["auto", "off", "ngram"]
Speculation = Literal["off", "ngram"]

KEY_TOKENS = 8
"""So many tokens have to agree before what followed them is proposed."""
SHORTEST = 4
"""Tokens; a shorter draft saves less than looking it up costs."""
LONGEST = 8
"""Longer drafts lost more where they were wrong than they won: chosen by how many tokens are accepted (decision 24)."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """The tokens of one draft, from `shortest` to `longest`; `key_tokens` have to agree before there is one."""

    key_tokens: int
    shortest: int
    longest: int


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
            hint='set providers.candle.speculation = "auto": models speculate where it can be had',
            details={"operation": "speculation", "key": "providers.candle.speculation"},
        )
    return Drafts(KEY_TOKENS, SHORTEST, min(LONGEST, room))
