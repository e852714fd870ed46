"""Which numbers are taken, wherever they come in; how times are read; what free data may hold."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from llmspell_protocol.durations import LONGEST_S, duration_seconds, read_seconds
from llmspell_protocol.numbers import WrongNumber, demand_range, from_text, number, whole
from llmspell_protocol.plain_values import MAX_DEPTH, carried, problems_of_data
from tests.fuzz.wrong_values import deep

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = (
    None,
    True,
    False,
    "",
    "5",
    b"5",
    [],
    {},
    NAN,
    INF,
    -INF,
    2**63,
    -(2**63) - 1,
    10**30,
    10**400,
    -(10**400),
)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("read", [number, whole])
def test_what_is_no_finite_number_of_64_bits_is_refused(read: Callable[[object], float], value: object) -> None:
    with pytest.raises(WrongNumber, match=r"^must be a "):
        read(value)


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63), 7.0, -(2.0**63)])
def test_whole_numbers_are_taken_to_their_ends_and_so_are_fractions_of_nothing(value: float) -> None:
    assert whole(value) == value
    assert isinstance(whole(value), int)


@pytest.mark.parametrize("value", [0.5, 2.0**63, 1e300])
def test_a_fraction_is_no_whole_number(value: float) -> None:
    assert number(value) == value
    with pytest.raises(WrongNumber, match="must be a whole number"):
        whole(value)


def test_both_ends_of_a_range_belong_to_it_and_are_said_in_digits() -> None:
    demand_range(1, 1, 2147483647)
    demand_range(2147483647, 1, 2147483647)
    with pytest.raises(WrongNumber, match=r"^must be from 1 to 2147483647, got 2147483648$"):
        demand_range(2**31, 1, 2147483647)
    with pytest.raises(WrongNumber, match=r"^must be from 0\.01 to 2\.5, got 3$"):
        demand_range(3, 0.01, 2.5)


@pytest.mark.parametrize(
    ("text", "found"), [("5", 5), (" -1 ", -1), ("+7", 7), ("1.5", 1.5), (".5", 0.5), ("2e3", 2000.0)]
)
def test_a_text_is_a_number_as_people_write_one(text: str, found: float) -> None:
    assert from_text(text) == found


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-Infinity", "1_000", "٣", "0x10", "1e999", "9" * 40, "9" * 6000, "5s", "1,5", "true"]
)
def test_other_texts_are_no_numbers(text: str) -> None:
    assert from_text(text) is None


@pytest.mark.parametrize(
    ("value", "seconds"), [(0, 0), (1.5, 1.5), (-1, -1), ("-1", -1), ("90", 90), (" 5m ", 300), (LONGEST_S, LONGEST_S)]
)
def test_a_time_is_a_number_of_seconds_or_a_text(value: object, seconds: float) -> None:
    assert read_seconds(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        *(True, None, [], NAN, INF, -INF, 10**400, LONGEST_S + 1, "nan", "inf", "1e999", "soon", "", "٣s", "5 m"),
        *("9" * 400, "9" * 400 + "s", "9" * 12 + "h", "1h" + "9" * 400 + "ms", "9" * 6000 + "m"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_time_is_refused_however_long_it_is(value: object) -> None:
    with pytest.raises(ValueError):
        read_seconds(value)
    if isinstance(value, str):
        with pytest.raises(ValueError):
            duration_seconds(value)


@pytest.mark.parametrize(
    ("value", "place", "problem"),
    [
        ({"a": [1, {"b": 10**30}]}, "schema.a.1.b", "must be a whole number of at most 64 bits"),
        ({"a": NAN}, "schema.a", "must be a finite number"),
        ({"a": b"x"}, "schema.a", "can't be bytes"),
        ({1: "x"}, "schema", "has names that are no texts"),
        ({"a": {b"b": 1}}, "schema.a", "has names that are no texts"),
        (deep(MAX_DEPTH + 1, lists=True), "schema.0", f"is nested deeper than {MAX_DEPTH} levels"),
        (deep(5000, lists=False), "schema.a", f"is nested deeper than {MAX_DEPTH} levels"),
        ({"a": object()}, "schema.a", "can't be of type object"),
    ],
)
def test_free_data_that_some_encoding_lacks_is_named_with_its_place(value: Any, place: str, problem: str) -> None:
    ((where, what),) = problems_of_data(value, "schema")
    assert where.startswith(place)
    assert what.startswith(problem)


def test_free_data_that_every_encoding_has_is_no_problem() -> None:
    fine = {"a": [None, True, 2**63 - 1, -(2**63), 1e308, "é", {}], "": deep(MAX_DEPTH - 1, lists=False)}
    assert list(problems_of_data(fine, "schema")) == []


def test_a_long_name_is_not_repeated_for_what_is_below_it() -> None:
    name = "k" * 1_000_000
    tracemalloc.start()
    try:
        assert list(problems_of_data({name: [{name: [0] * 100_000}] * 3}, "schema")) == []
        ((place, _),) = problems_of_data({name: [0, {"a": NAN}]}, "schema")
        assert tracemalloc.get_traced_memory()[1] < 20 * len(name)
    finally:
        tracemalloc.stop()
    assert len(place) <= 200
    assert place.endswith(".1.a")


def test_what_others_wrote_becomes_data_that_every_encoding_has() -> None:
    written = {"n": 10**30, "m": 10**400, "i": INF, "s": "\ud83d", "\udc00": [True, 5]}
    data = carried(written)
    assert data == {"n": 1e30, "m": None, "i": None, "s": "\ufffd", "\ufffd": [True, 5]}
    assert list(problems_of_data(data, "")) == []
    with pytest.raises(ValueError, match="nested deeper"):
        carried(deep(MAX_DEPTH + 1, lists=True))
