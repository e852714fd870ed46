"""What models say of texts besides vectors: scores for a question, and numbers of tokens."""

from __future__ import annotations

from collections.abc import Sequence

from llmspell_protocol.models import Usage
from llmspell_protocol.structs import Struct


class Scores(Struct):
    """How well each of some texts answers a question, in the order of the texts: higher is better.

    The scale is the model's own, so scores of different models cannot be compared: most give any number, some 0 to 1.
    """

    scores: Sequence[float]
    usage: Usage
    model: str
    backend: str


class TokenCounts(Struct):
    """Tokens of each of some texts, in their order.

    `added` are those that the model puts around every text that it embeds, which are not counted.
    """

    counts: Sequence[int]
    added: int
