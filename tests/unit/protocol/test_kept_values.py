"""Forms of values: exact, the same in JSON and msgpack, and never mistaken for another value."""

from __future__ import annotations

import json
import math
from typing import Any

import msgpack
import pytest

from llmspell_protocol.kept_values import (
    kept,
    kept_table,
    key_name,
    key_of,
    problems_of_form,
    shown,
    special_of,
)
from llmspell_protocol.plain_values import problems_of_data

PLAIN = [None, True, 0, -5, 2.0, 1.5, "", "ä\0", [], {}, [1, [2, {}]], {"a": {"b": [None]}}, {"$fn": 1}, {"$ref": "#"}]


@pytest.mark.parametrize("value", [one for one in PLAIN if one is not None], ids=repr)
def test_what_json_has_stands_for_itself(value: Any) -> None:
    assert kept(value) == value
    assert type(kept(value)) is type(value)


@pytest.mark.parametrize("value", [b"\xff\0", math.inf, -math.inf, 1 << 64, -(1 << 90), None], ids=repr)
def test_what_json_lacks_has_a_form_that_stands_for_it(value: Any) -> None:
    assert special_of(kept(value)) == value


def test_what_is_no_number_has_a_form() -> None:
    assert math.isnan(special_of(kept(math.nan)))


def test_both_encodings_carry_every_form() -> None:
    form = kept([*PLAIN, b"\xff", math.nan, 1 << 70, {"$type": "bytes", "base64": "eA=="}])
    assert json.loads(json.dumps(form, allow_nan=False)) == form
    assert msgpack.unpackb(msgpack.packb(form)) == form
    assert not list(problems_of_data(form, "value"))
    assert not list(problems_of_form(form, "value"))


def test_a_value_that_looks_like_a_form_is_kept_as_what_it_is() -> None:
    value = {"$type": "bytes", "base64": "eA=="}
    form = kept(value)
    assert form == {"$type": "table", "=$type": "bytes", "=base64": "eA=="}
    assert shown(form) == value


@pytest.mark.parametrize("key", ["", "x", "#1", "$type", b"\xff", 1, -3, 0, 1.5, math.inf, True, False], ids=repr)
def test_a_key_has_one_name(key: Any) -> None:
    assert key_of(key_name(key)) == key
    assert type(key_of(key_name(key))) is type(key)


@pytest.mark.parametrize(
    "name", ["", "x", "#", "#01", "# 1", "#1.0", "~1.0", "~1e0", "~nan", "?yes", "*!", "*eA", f"#{1 << 64}"]
)
def test_a_name_that_stands_for_no_key_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        key_of(name)


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ({"$type": "dog"}, "value"),
        ([1, {"$type": None}], ""),
        ({"a": [{"$type": "bytes", "base64": "!"}]}, "value.a.0"),
        ({"$type": "bytes", "base64": "eA==", "more": 1}, "value"),
        ({"$type": "float", "value": "1"}, "value"),
        ({"$type": "float", "value": []}, "value"),
        ({"$type": "integer", "digits": "12"}, "value"),
        ({"$type": "integer", "digits": "x"}, "value"),
        ({"$type": "table", "x": 1}, "value.x"),
        ({"$type": "table", "#1": {"$type": 5}}, "value.#1"),
        ({"$type": ["table"]}, "value"),
    ],
)
def test_what_is_no_form_is_told_with_its_place(form: Any, place: str) -> None:
    places = [where for where, _ in problems_of_form(form, "value")]
    assert places == ([place] if place else ["value.1"])


def test_people_see_tables_of_all_kinds_as_objects() -> None:
    form = kept_table({"=name": "x", "#10": "ten", "#2": [kept_table({"~1.5": 1})], "?true": {}, "=2": "text"})
    assert list(shown(form).items()) == [
        ("2", [{"1.5": 1}]),
        ("10", "ten"),
        ('"2"', "text"),
        ("name", "x"),
        ("true", {}),
    ]


def test_a_form_is_nested_as_deep_as_its_value() -> None:
    value: Any = 1
    for _ in range(128):
        value = {"$type": value}
    form = kept(value)
    assert not list(problems_of_data(form, "value"))
    assert shown(form) == value
    with pytest.raises(ValueError, match="nested deeper than 128"):
        kept([value])
