"""What models are asked in the benchmarks: texts of known length, repeated or never seen before."""

from __future__ import annotations

import random

STORY = "Write a long story about a lighthouse keeper who finds a letter in a bottle."

QUESTIONS = (
    STORY,
    "Write a long essay about how bicycles are built, from the frame to the chain.",
    "Write a long story about a week in a mountain village.",
    "Write a long essay about the history of bread.",
)
"""Four clients, four prompts; the small model, greedy, goes on for more than 400 tokens on each."""

SHORT = "Say hello."

_THINGS = ("river", "stone", "window", "garden", "letter", "winter", "market", "bridge", "forest", "mirror", "tower")
_TOKENS_A_SENTENCE = 7


def fresh_text(tokens: int) -> str:
    """A prompt of about so many tokens that no cache has seen, and to which a small model has an answer."""
    sentences = (
        f"The {random.choice(_THINGS)} is near the {random.choice(_THINGS)}."
        for _ in range((tokens - 45) // _TOKENS_A_SENTENCE)
    )
    return f"{random.getrandbits(40):x} {' '.join(sentences)}\n\nWrite a long story about these things."
