"""What is wrong with a field is said in words that are neither a library's nor Python's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from llmspell_kernel.validate import validated
from llmspell_protocol.errors import InvalidRequest


@dataclass(frozen=True, kw_only=True)
class Wanted:
    text: str = ""
    count: int = 0
    share: float | None = None
    on: bool = False
    table: Mapping[str, int] | None = None
    listed: Sequence[str] = ()
    mode: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True)
class Needing:
    name: str


WORDS: Mapping[str, tuple[Any, str]] = {
    "text": (3, "must be a string"),
    "count": ("x", "must be a whole number"),
    "share": ("x", "must be a number"),
    "on": ("perhaps", "must be true or false"),
    "table": (3, "must be an object (in Lua a table with names)"),
    "listed": (3, "must be a list"),
    "mode": ("quick", "must be 'fast' or 'slow'"),
}


@pytest.mark.parametrize("field", WORDS)
def test_a_field_of_another_kind(field: str) -> None:
    value, words = WORDS[field]
    with pytest.raises(InvalidRequest) as caught:
        validated({field: value}, Wanted, "x", what="Invalid x")
    assert caught.value.message == f"Invalid x: {field}: {words}"


def test_a_field_that_is_missing() -> None:
    with pytest.raises(InvalidRequest, match=r"^Invalid x: name: is missing$"):
        validated({}, Needing, "x", what="Invalid x")
