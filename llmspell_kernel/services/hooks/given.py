"""What hooks put into the data of a point, held against what a client's request may have there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.plain_values import problems_of_data

K = TypeVar("K")


def given(kind: type[K], action: str, content: Mapping[str, Any]) -> K:
    """The content as the class of a request of this action.

    Raises:
        InvalidRequest: no client could ask for this.
    """
    # Only what a hook has changed is looked at.
    from llmspell_kernel.validate import validated

    made: K = validated(content, kind, action, what="Invalid data of a hook")
    return made


def listed(value: Any) -> Any:
    """A list as a script may give it, whose empty lists are the same as its empty maps."""
    return [] if value == {} else value


def demand_data(value: Any, name: str) -> None:
    """Raises `InvalidRequest` where a value is not one that every encoding carries; `name` is where it stands."""
    problem = next(problems_of_data(value, name), None)
    if problem is not None:
        raise InvalidRequest(f"Invalid data of a hook: {': '.join(problem)}")
