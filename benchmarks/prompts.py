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
_TOWNS = ("Harrow", "Selby", "Whitby", "Ripon", "Malton", "Thirsk", "Otley", "Skipton", "Settle", "Richmond")
_ENGINEERS = ("Thomas Arkwright", "Mary Holloway", "John Pemberton", "Alice Wainwright", "George Hartley")


def fresh_text(tokens: int) -> str:
    """A prompt of about so many tokens that no cache has seen, and to which a small model has an answer."""
    sentences = (
        f"The {random.choice(_THINGS)} is near the {random.choice(_THINGS)}."
        for _ in range((tokens - 45) // _TOKENS_A_SENTENCE)
    )
    return f"{random.getrandbits(40):x} {' '.join(sentences)}\n\nWrite a long story about these things."


def new_question(number: int) -> str:
    """A question of its own for each number, to which the small model goes on for hundreds of tokens."""
    chosen = random.Random(number)
    first, second, third = chosen.sample(_THINGS, 3)
    kind = chosen.choice(("story", "essay"))
    return f"Write a long {kind} about a {first}, a {second} and a {third} in the year {1500 + number}."


def passage(number: int) -> str:
    """A text of its own for each number, of about 90 tokens, which the small model repeats word for word."""
    chosen = random.Random(number)
    harbour, school, station = chosen.sample(_TOWNS, 3)
    return (
        "Repeat the following text exactly, word for word:\n\n"
        f"The harbour of {harbour} was built in {chosen.randrange(1800, 1930)} by {chosen.choice(_ENGINEERS)}, who had "
        f"studied in {school}. It has {chosen.randrange(2, 9)} long piers, a lighthouse of "
        f"{chosen.choice(('grey', 'red', 'white'))} stone and a small yard in which "
        f"{chosen.choice(('boats', 'nets', 'ships'))} are repaired. In winter the "
        f"{chosen.choice(('fishermen', 'sailors', 'farmers'))} mend their nets in the long shed behind the market. "
        f"In summer the bay is full of visitors who come by train from {station}, {chosen.randrange(12, 90)} miles off."
    )
