"""What is told of two answers that differ, and what a change puts in the place of a recorded value."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.services.sessions.comparison import MOST, differences
from llmspell_kernel.services.sessions.modifications import demand_paths, modified
from llmspell_protocol.areas.session import Modification
from llmspell_protocol.errors import InvalidRequest


def told(before: Any, now: Any) -> list[tuple[str, str]]:
    return [(one.path, one.description) for one in differences(before, now)]


def test_what_is_the_same_has_no_differences() -> None:
    value = {"a": [1, {"b": None}], "c": "text", "d": True}
    assert told(value, {"d": True, "c": "text", "a": [1, {"b": None}]}) == []


def test_a_difference_says_where_it_is_and_both_values() -> None:
    before = {"message": {"content": "Paris"}, "list": [1, 2], "gone": 1, "flag": 1}
    now = {"message": {"content": "Rome"}, "list": [1, 3, 4], "new": None, "flag": True}
    assert told(before, now) == [
        ("message.content", '"Paris" → "Rome"'),
        ("list.1", "2 → 3"),
        ("list.2", "is new: 4"),
        ("gone", "is gone: 1"),
        ("flag", "1 → true"),
        ("new", "is new: null"),
    ]


def test_long_texts_are_shown_from_where_they_part() -> None:
    [(path, text)] = told("x" * 100 + "one and more", "x" * 100 + "two")
    assert path == "."
    assert text == f'"…{"x" * 15}one and more" → "…{"x" * 15}two"'
    [(_, text)] = told("a", "b" * 1000)
    assert len(text) < 140


def test_at_most_so_many_differences_are_told() -> None:
    assert len(told([0] * 1000, [1] * 1000)) == MOST


def test_a_path_of_long_names_is_cut() -> None:
    [(path, _)] = told({"x" * 1_000_000: 1}, {"x" * 1_000_000: 2})
    assert path == "x" * 200


def changed(content: dict[str, Any], *changes: tuple[str, Any], number: int = 1) -> dict[str, Any]:
    return modified(content, str(number), [Modification(path=path, value=value) for path, value in changes])


def test_a_change_replaces_what_stands_at_its_path() -> None:
    content = {"model": "a", "messages": [{"content": "x"}], "options": None}
    assert changed(content, ("model", "b"))["model"] == "b"
    assert changed(content, ("messages.0.content", "y"))["messages"] == [{"content": "y"}]
    assert changed(content, ("options.temperature", 0))["options"] == {"temperature": 0}
    assert content == {"model": "a", "messages": [{"content": "x"}], "options": None}


def test_a_change_for_another_step_or_another_kind_of_request_changes_nothing() -> None:
    content = {"code": "x", "messages": []}
    for change in (("2.code", "y"), ("model", "b"), ("messages.5.content", "y"), ("a.b.c", 1)):
        assert changed(content, change) == content
    assert changed(content, ("1.code", "y"))["code"] == "y"
    off = [Modification(path="code", value="y", enabled=False)]
    assert modified(content, "1", off) == content


@pytest.mark.parametrize("path", ["².code", "١.code", "9" * 5000 + ".code", "messages.²", "messages." + "9" * 5000])
def test_what_is_no_number_of_a_step_or_position_is_a_name(path: str) -> None:
    content = {"code": "x", "messages": [1]}
    demand_paths([Modification(path=path, value=1)])
    assert changed(content, (path, 1)) == content


@pytest.mark.parametrize("path", ["", "1", "a..b", "."])
def test_a_path_that_names_nothing_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="is no path of a request"):
        demand_paths([Modification(path=path, value=1)])
