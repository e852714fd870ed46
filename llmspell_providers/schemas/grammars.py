"""What an engine makes of schemas: a value that a backend declares. Imports nothing, as every start comes by here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grammar:
    """A grammar that holds a model to a schema, token by token."""

    integer_bounds: bool = True
    """Whether `minimum` and `maximum` of whole numbers are part of it."""
    tools: bool = True
    """Whether the parameters of tools are part of it."""
