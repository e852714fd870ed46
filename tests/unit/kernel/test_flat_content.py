"""Standard contents and request options: what is taken, what is refused, and that the answer names the field."""

from __future__ import annotations

from typing import Any

import pytest

from llmspell_kernel.flat_content import request_options, standard_content
from llmspell_kernel.scripting import engines
from llmspell_protocol.engines import DEFAULT_ENGINE, ENGINES
from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_protocol.request_options import NO_OPTIONS, RequestOptions
from llmspell_protocol.standard_requests import CompleteRequest, ExecuteRequest, HistoryRequest


def test_unknown_keys_and_nulls_of_a_standard_content_are_as_if_absent() -> None:
    content = {"code": "x", "silent": None, "later": 1, "user_expressions": {"a": "b"}}
    assert standard_content(ExecuteRequest, "execute_request", content) == ExecuteRequest(
        code="x", user_expressions={"a": "b"}
    )
    assert standard_content(CompleteRequest, "complete_request", {"code": ""}).cursor_pos is None


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        ({}, ["code is missing"]),
        ({"code": 5}, ["code has to be a text"]),
        ({"code": "", "silent": 1}, ["silent has to be true or false"]),
        (
            {"code": None, "user_expressions": {"a": 1}},
            ["code is missing", "user_expressions has to be a map of texts to texts"],
        ),
    ],
)
def test_every_problem_of_a_content_is_named(content: dict[str, Any], problems: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        standard_content(ExecuteRequest, "execute_request", content)
    assert refused.value.message == f"Invalid execute_request: {'; '.join(problems)}"
    assert [f"{one['field']} {one['message']}" for one in refused.value.details["problems"]] == problems


def test_a_word_and_a_number_are_checked_too() -> None:
    with pytest.raises(
        InvalidRequest, match="hist_access_type has to be one of range, tail, search; n has to be a whole"
    ):
        standard_content(HistoryRequest, "history_request", {"hist_access_type": "all", "n": True})


def test_a_whole_number_that_no_worker_could_be_sent_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="cursor_pos has to be a whole number"):
        standard_content(CompleteRequest, "complete_request", {"code": "", "cursor_pos": 10**400})


def test_options_are_read_and_written_by_one_class() -> None:
    options = RequestOptions(isolated=True, args=["a"], timeout_s=2.5, env={"MODEL": "m"})
    assert options.metadata() == {"timeout_s": 2.5, "isolated": True, "args": ["a"], "env": {"MODEL": "m"}}
    assert request_options(options.metadata()) == options
    assert request_options({}) is NO_OPTIONS
    assert request_options({"timeout_s": 3}).timeout_s == 3


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"isolatd": True}, "metadata.llmspell.isolatd is not an option; did you mean 'isolated'?"),
        ({"priority": 1}, "metadata.llmspell.priority is not an option"),
        ({"detach": "yes"}, "metadata.llmspell.detach has to be true or false"),
        ({"args": ["a", 1]}, "metadata.llmspell.args has to be a list of texts"),
        ({"timeout_s": True}, "metadata.llmspell.timeout_s has to be a finite number"),
        ({"session": " "}, "metadata.llmspell.session has to be 1 to 200 characters, not blanks alone"),
        ({"session": "x" * 201}, "metadata.llmspell.session has to be 1 to 200 characters, not blanks alone"),
        ({"timeout_s": -1}, "metadata.llmspell.timeout_s has to be more than 0"),
        ({"timeout_s": float("nan")}, "metadata.llmspell.timeout_s has to be a finite number"),
        ({"timeout_s": 10**30}, "metadata.llmspell.timeout_s has to be a finite number"),
        ({"timeout_s": 1e18}, "metadata.llmspell.timeout_s has to be at most 3155760000"),
        ({"engine": []}, "metadata.llmspell.engine has to be a text"),
        ({"timeout_s": 10**400}, "metadata.llmspell.timeout_s has to be a finite number"),
        ({"drain_s": float("inf")}, "metadata.llmspell.drain_s has to be a finite number"),
        ({"drain_s": -1}, "metadata.llmspell.drain_s has to be at least 0"),
        ({"k" * 1_000_000: 1}, f"metadata.llmspell.{'k' * 100}… is not an option"),
        ({1: 2}, "metadata.llmspell.1 is not an option; names are texts"),
        ("isolated", "metadata.llmspell has to be a map"),
        ([], "metadata.llmspell has to be a map"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_by_name(given: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        request_options(given)
    assert refused.value.message == f"Invalid options: {problem}"


def test_the_kernels_engines_are_among_those_that_clients_may_name() -> None:
    assert set(engines.ENGINES) <= set(ENGINES)
    assert engines.engine_named(None).name == engines.engine_named("").name == DEFAULT_ENGINE
    with pytest.raises(Unsupported, match="Script engine 'python' is not available yet"):
        engines.engine_named("python")


def test_of_many_unknown_options_ten_are_named() -> None:
    with pytest.raises(InvalidRequest) as caught:
        request_options({f"isolate{number}": True for number in range(5000)})
    assert len(caught.value.details["problems"]) == 10
