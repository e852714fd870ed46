"""What looks back through code looks at each token a few times, however the code is made: counted, not timed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

import pytest

from llmspell_kernel.scripting.lua.chains import chain_before, chain_to, last_assigned, local_names
from llmspell_kernel.scripting.lua.tokens import Token, still_open, tokens

TIMES = 25
"""So often a token may be looked at: the parameters of a function are looked for in twenty."""
CODES = {
    "calls": "f(" * 20_000,
    "called": "x" + "()" * 20_000 + ".",
    "closed": "x" + ")" * 20_000 + ".",
    "nested": "f" + "(" * 10_000 + ")" * 10_000 + ".",
    "fields": "a." * 20_000,
    "indexed": "x" + "[1]" * 10_000 + ".",
    "assigned": "a = b.c " * 8_000 + "a.",
    "unclosed": "a = b(" * 8_000 + "a.",
    "locals": "local a, b = a.b(c) " * 4_000 + "a.",
    "functions": "function " * 20_000,
    "parameters": "function f(a, b, c) end " * 4_000,
    "tables": "f{a = {" * 8_000,
    "ends": "if x then " * 5_000 + "end " * 5_000,
    "crossed": "(" * 10_000 + "}" * 10_000,
}


class Counted(Sequence[Token]):
    """Tokens that count how often one of them is looked at."""

    def __init__(self, found: Sequence[Token]) -> None:
        self._found = found
        self.looks = 0

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Token]:
        for token in self._found:
            self.looks += 1
            yield token

    @overload
    def __getitem__(self, at: int) -> Token: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Token]: ...
    def __getitem__(self, at: int | slice) -> Token | Sequence[Token]:
        self.looks += 1 if isinstance(at, int) else len(range(*at.indices(len(self._found))))
        return self._found[at]


LOOKS: dict[str, Callable[[Counted], Any]] = {
    "chain_to": lambda found: chain_to(found, len(found) - 1),
    "chain_before": lambda found: chain_before(found, len(found) - 1),
    "last_assigned": lambda found: last_assigned(found, "a"),
    "local_names": local_names,
    "still_open": still_open,
}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("look", LOOKS)
def test_a_look_back_goes_through_the_code_a_few_times(code: str, look: str) -> None:
    found = Counted(tokens(CODES[code]))
    LOOKS[look](found)
    assert found.looks <= TIMES * len(found)
