"""calculator: every operation, form and error; arithmetic is held against Python's own."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import call_tool


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 3 * 4", 14),
        ("-2 ^ 2", -4),
        ("2 ** 3 ^ 2", 512),
        ("10 / 4", 2.5),
        ("10 / 5", 2),
        ("-5 % 3", -2),
        ("sqrt(16)", 4),
        ("sum([1, 2, 3]) + avg([1, 2]) + min(4, 5) + max([6, 7])", 18.5),
        ("3 > 2 ? 10 : 1 / 0", 10),
        ("1 < 2 && !(2 == 3) || 1 / 0 > 1", True),
        ("pi() == pi", True),
        ("0x10 + 1e2", 116),
        ("round(2.5)", 3),
    ],
)
def test_an_expression_is_computed(expression: str, value: Any) -> None:
    called = call_tool("calculator", {"expression": expression})
    assert called.result["result"] == value
    assert type(called.output) is type(value)


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("1 / 0", "division by zero"),
        ("x + 1", "unknown name 'x'"),
        ("foo(1)", "unknown function 'foo'"),
        ("2 +", "it ends too early"),
        ("1 $ 2", r"'\$' at column 3"),
        ("9 ^ 9 ^ 9", "too large"),
        ("2 ^ 20000", "too large"),
        ("[1, 2]", "it gives a list"),
        ("sqrt(-1)", "sqrt"),
        ("(0 - 8) ^ 0.5", "no real number"),
        ("__import__('os')", "not understood"),
    ],
)
def test_what_can_t_be_computed_is_told(expression: str, why: str) -> None:
    import re

    assert re.search(why, call_tool("calculator", {"input": expression}).said)


def test_operations_take_two_numbers_or_a_list() -> None:
    assert call_tool("calculator", {"operation": "subtract", "a": 7, "b": 9}).output == -2
    assert call_tool("calculator", {"operation": "average", "values": [1, 2, 6]}).output == 3
    with pytest.raises(InvalidRequest, match="Missing required parameter 'b'"):
        call_tool("calculator", {"operation": "add", "a": 1})


def test_variables_are_known_by_name() -> None:
    called = call_tool("calculator", {"input": "sum(xs) * y", "variables": {"xs": [1, 2], "y": 2.5}})
    assert called.result == {
        "input": "sum(xs) * y",
        "result": 7.5,
        "result_type": "float",
        "variables": {"xs": [1, 2], "y": 2.5},
    }


def test_it_says_whether_an_expression_can_be_read_and_what_there_is() -> None:
    assert call_tool("calculator", {"operation": "validate", "input": "a + b"}).result["valid"] is True
    refused = call_tool("calculator", {"operation": "validate", "input": "a +"}).result
    assert refused == {"input": "a +", "valid": False, "error": "it ends too early"}
    assert "sqrt" in call_tool("calculator", {"operation": "functions"}).result["arithmetic"]


def test_what_was_computed_is_counted() -> None:
    called = call_tool("calculator", {"input": "1 + 2 * max(x, 3)", "variables": {"x": 1}})
    assert called.outcome is not None
    usage = called.outcome.fields["resource_usage"]
    assert usage["operations_count"] == 3
    assert usage["cpu_time_ms"] >= 0


def test_infinity_is_a_word() -> None:
    called = call_tool("calculator", {"input": "inf"})
    assert (called.output, called.result["result_type"]) == ("inf", "special")


@given(st.lists(st.tuples(st.sampled_from("+-*"), st.integers(0, 10**6) | st.floats(0, 1e6)), min_size=1, max_size=8))
def test_sums_and_products_are_python_s(terms: list[tuple[str, float]]) -> None:
    expression = "1" + "".join(f" {sign} {number!r}" for sign, number in terms)
    expected = eval(expression)
    assert math.isclose(call_tool("calculator", {"input": expression}).output, expected, rel_tol=1e-12)
