"""Contents that become their class without pydantic are what pydantic makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import TypeAdapter, ValidationError

from llmspell_kernel.exact_content import Inexact, exact
from llmspell_protocol.areas import AREAS, actions

ACTIONS = [(area, action) for area in AREAS for action in actions(area)]
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 5, -1, 2**60, 10**400, 1.5, float("inf")),
    *("", "x", "é", "\ud800", "hybrid", "user", b"x", [], ["a"], [1], [None], ["\ud800"], ("a",)),
    *({}, {"a": 1}, {1: 2}, {"a": "b"}, [{}], [{"role": "user", "content": "x", "more": 1}], {"role": 5}, {"a": ["b"]}),
)


def _variants(kind: type, content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The content with each field, inner ones too, left out and as each of the values."""
    yield from ({**content, name: 1} for name in (5, b"x", None, "\ud800"))  # type: ignore[dict-item]
    for name, hint in get_type_hints(kind).items():
        yield {key: value for key, value in content.items() if key != name}
        yield from ({**content, name: value} for value in VALUES)
        for inner in (one for one in (hint, *get_args(hint)) if is_dataclass(one)):
            has_several = "Sequence" in str(hint)
            for value in _variants(inner, {}):  # type: ignore[arg-type]
                yield {**content, name: [value] if has_several else value}


@pytest.mark.parametrize(("area", "action"), ACTIONS)
def test_every_content_becomes_the_same_with_and_without_pydantic(area: str, action: str) -> None:
    record = actions(area)[action]
    adapter = TypeAdapter(record.request)
    taken = 0
    for content in _variants(record.request, record.example):
        try:
            made = exact(record.request, content)
        except Inexact:
            continue
        taken += 1
        try:
            wanted = adapter.validate_python(content)
        except ValidationError as error:
            raise AssertionError(f"pydantic refuses {content}") from error
        assert (type(made), repr(made)) == (type(wanted), repr(wanted)), content
    assert taken or not get_type_hints(record.request)


@pytest.mark.parametrize(("area", "action"), ACTIONS)
def test_the_examples_need_no_pydantic(area: str, action: str) -> None:
    record = actions(area)[action]
    assert type(exact(record.request, record.example)) is record.request
