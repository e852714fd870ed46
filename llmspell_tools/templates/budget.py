"""What rendering a template may cost, and what is wrong with one that can't be rendered."""

from __future__ import annotations

MAX_TEMPLATE_CHARACTERS = 1_000_000
MAX_CHARACTERS = 10_000_000
"""Of what is written, in all parts of a template together."""
ROUND_COST = 20
"""A round of a loop costs as much as so many characters: half a million of them at most."""
CALL_COST = 100
"""And a call of a macro or method."""
MAX_RANGE = 100_000
"""Numbers that `range` gives."""


class TemplateProblem(Exception):
    """A template can't be read or rendered; the text says why, and where."""


class NotSupported(TemplateProblem):
    """A template uses a part of its language that is not there."""


class Budget:
    """Counts what one rendering writes and does."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._spent = 0

    def spend(self, characters: int) -> None:
        """Raises `TemplateProblem` where the budget is used up."""
        self._spent += characters
        if self._spent > self._limit:
            raise TemplateProblem(f"it writes or loops too much: more than {self._limit:,} characters' worth")


def demand_template_length(source: str) -> None:
    """Raises `TemplateProblem` for a template that is too long."""
    if len(source) > MAX_TEMPLATE_CHARACTERS:
        raise TemplateProblem(f"it has {len(source):,} characters, more than {MAX_TEMPLATE_CHARACTERS:,}")
