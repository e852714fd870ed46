"""How long a text may be that a call makes: what goes back to the caller passes through its pipe and the caller's."""

from __future__ import annotations

from llmspell_tools.outcome import ToolFailure

MAX_CHARACTERS = 10_000_000
"""Of one result's text."""


def demand_length(characters: int, what: str = "the result") -> None:
    """Raises `ToolFailure` where a text would be longer than a result may be; ask before it is made."""
    if characters > MAX_CHARACTERS:
        raise ToolFailure(f"{what} would have {characters:,} characters, more than {MAX_CHARACTERS:,}")
