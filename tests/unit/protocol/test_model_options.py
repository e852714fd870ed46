"""Options of a request to a model as people type them: names, values, and what a wrong one may mean."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.model_options import meant_by, option_from_text, option_names, unknown_option


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", "0", 0.0),
        ("top_k", "40", 40),
        ("num_ctx", "8192", 8192),
        ("num_ctx", "8k", 8192),
        ("seed", " 7 ", 7),
        ("stop", "\n", ["\n"]),
    ],
)
def test_a_value_is_what_the_option_takes(name: str, text: str, value: Any) -> None:
    found = option_from_text(name, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("temperature", "hot", "temperature is a number, not 'hot'"),
        ("temperature", "9", "temperature must be from 0 to 2, got 9"),
        ("temperature", "nan", "temperature is a number, not 'nan'"),
        ("top_k", "1.5", "top_k is a whole number, not '1.5'"),
        ("stop", "", "stop is empty"),
        ("temprature", "1", "unknown option 'temprature'"),
    ],
)
def test_a_wrong_value_says_what_is_wrong_with_it(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        option_from_text(name, text)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("temprature", "temperature"),
        ("max_token", "max_tokens"),
        ("Top-P", "top_p"),
        ("repetition_penalty", "repeat_penalty"),
        ("n_ctx", "num_ctx"),
        ("num_predict", "max_tokens"),
        ("wings", None),
        ("x" * 100_000, None),
        (3, None),
    ],
)
def test_a_name_that_there_is_not_has_a_nearest_one(name: object, meant: str | None) -> None:
    assert meant_by(name) == meant


def test_the_error_names_the_nearest_option_or_all() -> None:
    assert unknown_option("temprature").hint == "did you mean 'temperature'?"
    assert unknown_option("wings").hint == f"one of {', '.join(option_names())}"
    assert unknown_option("num_cx", ("seed", "stop")).hint == "one of seed, stop"
