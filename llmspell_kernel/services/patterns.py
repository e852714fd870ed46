"""Patterns that choose names: `*` is any run of characters, `?` one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache


@lru_cache(maxsize=512)
def matcher(pattern: str) -> re.Pattern[str]:
    """What finds the texts that a pattern fits whole."""
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in re.sub(r"\*+", "*", pattern))
    return re.compile("".join(parts) + r"\Z", re.DOTALL)


def fits_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns fits."""
    return any(matcher(pattern).match(text) for pattern in patterns)
