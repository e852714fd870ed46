"""Patterns that choose names: `*` is any run of characters, `?` one. A pattern comes from a script or a client, so that
the time that it takes is bounded: the length of the text by that of the pattern, at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache


@lru_cache(maxsize=512)
def matcher(pattern: str) -> Callable[[str], bool]:
    """What says of a text whether the pattern fits it whole."""
    begin, star, rest = pattern.partition("*")
    if "?" not in pattern and not star:
        return lambda text: text == pattern
    if "?" not in begin and star and not rest:
        return lambda text: text.startswith(begin)
    return lambda text: _fits(pattern, text)


def fits_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits."""
    return any(matcher(pattern)(text) for pattern in patterns)


def _fits(pattern: str, text: str) -> bool:
    """Goes through both once, and back to behind the last star where it went wrong: no earlier one could do better."""
    at = position = 0
    behind_star, resume = -1, 0
    while at < len(text):
        if position < len(pattern) and pattern[position] == "*":
            position += 1
            behind_star, resume = position, at
        elif position < len(pattern) and pattern[position] in ("?", text[at]):
            position += 1
            at += 1
        elif behind_star >= 0:
            resume += 1
            position, at = behind_star, resume
        else:
            return False
    return not pattern[position:].strip("*")
