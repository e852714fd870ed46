"""text-manipulator: every operation, option, form and error; changes are held against Python's own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest, Unsupported
from tests.support.tool_calls import call_tool

NAME = "text-manipulator"


@pytest.mark.parametrize(
    ("operation", "text", "options", "expected"),
    [
        ("uppercase", "straße", {}, "STRASSE"),
        ("lowercase", "ABC", {}, "abc"),
        ("capitalize", "good DAY", {}, "Good DAY"),
        ("title_case", "it's a good day", {}, "It's A Good Day"),
        ("snake_case", "helloWorld XMLParser foo-bar", {}, "hello_world_xml_parser_foo_bar"),
        ("kebab_case", "Hello World", {}, "hello-world"),
        ("camel_case", "hello_world-again", {}, "helloWorldAgain"),
        ("camel_case", "__", {}, ""),
        ("pascal_case", "hello world", {}, "HelloWorld"),
        ("case", "Hello World", {"format": "upper"}, "HELLO WORLD"),
        ("case", "Hello World", {"format": "Lower"}, "hello world"),
        ("case", "hello world", {"format": "title"}, "Hello World"),
        ("case", "hello world", {"format": "snake_case"}, "hello_world"),
        ("reverse", "äb", {}, "bä"),
        ("trim", " \t a b\n", {}, "a b"),
        ("replace", "hello world", {"from": "world", "to": "you"}, "hello you"),
        ("replace", "aaa", {"from": "a", "to": ""}, ""),
        ("replace", "a", {"search": "a", "replace": "b"}, "b"),
        ("regex", "a1b2", {"pattern": r"\d", "replacement": ""}, "ab"),
        (
            "regex",
            "John Smith",
            {"pattern": r"(\w+) (\w+)", "replacement": "$2 \\1, $$5 ${1} $9"},
            "Smith John, $5 John $9",
        ),
        ("regex", "ab", {"pattern": "(?P<x>a)|(c)", "replacement": "<${x}$2>"}, "<a>b"),
        ("substring", "hello", {"start": 1, "end": 3}, "el"),
        ("substring", "hello", {"start": 2}, "llo"),
        ("substring", "hello", {"end": 2}, "he"),
        ("substring", "hello", {"start": 3, "end": 99}, "lo"),
        ("substring", "hello", {"start": 9, "end": 99}, ""),
        ("split", "a b c", {}, '["a", "b", "c"]'),
        ("split", "a,b", {"delimiter": ","}, '["a", "b"]'),
        ("split", "é", {"separator": ","}, '["é"]'),
        ("join", '["a", "b"]', {"delimiter": "-"}, "a-b"),
        ("join", ["a", 1, True, 2.5], {}, "a 1 true 2.5"),
        ("join", "[]", {}, ""),
        ("sanitize", "  Grüße\x00\x07\u200b\n\tx ", {}, "Grüße\n\tx"),
        ("sanitize", "<p>1 &lt; 2</p><script>x()</script><!-- no -->", {"remove_html": True}, "1 < 2"),
        ("sanitize", "\n a \n", {"trim_whitespace": True}, "a"),
        ("sanitize", "abc", {"max_length": 2}, "ab"),
        ("truncate", "hello world", {"max_length": 8}, "hello..."),
        ("truncate", "hello", {"max_length": 5}, "hello"),
        ("truncate", "hello", {"max_length": 2}, ".."),
        ("truncate", "x" * 101, {}, "x" * 97 + "..."),
        ("indent", "a\n\nb\n", {"spaces": 2}, "  a\n  \n  b\n"),
        ("indent", "a", {}, "    a"),
        ("dedent", "  a\n    b\n", {}, "a\n  b\n"),
        ("normalize_whitespace", " a \n\t b ", {}, "a b"),
        ("word_wrap", "aaa bbb ccc", {"width": 7}, "aaa bbb\nccc"),
        ("word_wrap", "abcdef", {"width": 4}, "abcd\nef"),
        ("word_wrap", "short\nlines", {}, "short\nlines"),
        (
            "format",
            "",
            {"template": "score: {score} {{x}} { user.name }", "values": {"score": 3, "user": {"name": "A"}}},
            "score: 3 {x} A",
        ),
        ("format", "Final price: $5 {untouched}", {}, "Final price: $5 {untouched}"),
        ("format", "{a}{b}", {"values": {"a": True, "b": [1]}}, "true[1]"),
        ("constant", "", {"value": "Grade: A"}, "Grade: A"),
        ("constant", "", {"value": {"a": 1}}, '{"a": 1}'),
        ("extract", "Score: 12 of 20", {"pattern": r"Score: (\d+)"}, "12"),
        ("extract", "Score: 12", {"pattern": r"\d+"}, "12"),
        ("extract", "none", {"pattern": r"(\d+)"}, ""),
        ("count", "a b\nc", {}, 3),
        ("count", "a b", {"count_type": "words"}, 2),
        ("count", "é b", {"count_type": "chars"}, 3),
        ("count", "é b", {"count_type": "characters"}, 3),
        ("count", "é b", {"count_type": "bytes"}, 4),
        ("count", "a\nb\n", {"count_type": "lines"}, 2),
        ("count", "One. Two! 3.5?", {"count_type": "sentences"}, 3),
        ("count", "a\n\nb\n \nc", {"count_type": "paragraphs"}, 3),
        ("length", "é b", {}, 3),
        ("contains", "hello", {"value": "ell"}, True),
        ("contains", "hello", {"substring": "x"}, False),
        ("contains", "hello 3", {"value": 3}, True),
        ("contains", "hello", {"pattern": "^h.*o$"}, True),
        ("validate", "user_1", {"pattern": "^[a-zA-Z0-9_]{3,20}$"}, True),
        ("validate", "no!", {"pattern": "^[a-zA-Z0-9_]{3,20}$"}, False),
    ],
)
def test_an_operation_gives_its_result_with_options_inside_and_outside(
    operation: str, text: Any, options: dict[str, Any], expected: Any
) -> None:
    for arguments in (
        {"operation": operation, "input": text, "options": options},
        {"operation": operation, "text": text, **options},
    ):
        called = call_tool(NAME, arguments)
        assert called.output == called.result["result"] == called.result["output"] == expected
        assert type(called.output) is type(expected)
        assert called.result["operation"] == operation
        shown = expected if isinstance(expected, str) else json.dumps(expected)
        assert called.result["result_length"] == len(shown)
        if isinstance(text, str):
            assert called.result["original_length"] == len(text)


def test_an_operation_says_more_where_there_is_more() -> None:
    assert call_tool(NAME, {"operation": "split", "input": "a b"}).result["parts"] == ["a", "b"]
    found = call_tool(NAME, {"operation": "extract", "input": "k=v", "pattern": "(.)=(.)(.)?"}).result
    assert (found["found"], found["groups"]) == (True, ["k", "v", ""])
    assert call_tool(NAME, {"operation": "extract", "input": "", "pattern": "x"}).result["found"] is False
    assert call_tool(NAME, {"operation": "validate", "input": "x", "pattern": "x"}).result["valid"] is True
    assert (
        call_tool(NAME, {"operation": "regex", "input": "xx", "pattern": "x", "replacement": "y"}).result["count"] == 2
    )
    assert call_tool(NAME, {"operation": "count", "input": "xx"}).result["count_type"] == "words"


def test_what_stands_outside_of_the_options_wins() -> None:
    arguments = {"operation": "truncate", "input": "hello", "max_length": 4, "options": {"max_length": 1}}
    assert call_tool(NAME, arguments).output == "h..."


@given(st.text(), st.text(max_size=3), st.text(max_size=3))
def test_replacing_is_python_s(text: str, old: str, new: str) -> None:
    arguments = {"operation": "replace", "input": text, "from": old, "to": new}
    assert call_tool(NAME, arguments).output == text.replace(old, new)


@given(st.text(), st.text(min_size=1, max_size=2))
def test_what_was_split_is_joined_again(text: str, delimiter: str) -> None:
    parts = call_tool(NAME, {"operation": "split", "input": text, "delimiter": delimiter})
    assert parts.result["parts"] == json.loads(parts.output) == text.split(delimiter)
    joined = call_tool(NAME, {"operation": "join", "input": parts.output, "delimiter": delimiter})
    assert joined.output == text


@given(st.text(alphabet="ab1_- X", max_size=12))
def test_names_stay_what_they_are_when_they_are_written_again(text: str) -> None:
    for case in ("snake_case", "kebab_case", "pascal_case"):
        once = call_tool(NAME, {"operation": case, "input": text}).output
        assert re.fullmatch(r"[A-Za-z0-9_-]*", once)
    snake = call_tool(NAME, {"operation": "snake_case", "input": text}).output
    assert call_tool(NAME, {"operation": "snake_case", "input": snake}).output == snake


@given(st.text(alphabet="ab \n", max_size=40), st.integers(1, 10))
def test_wrapped_lines_are_short_enough_and_have_all_words(text: str, width: int) -> None:
    wrapped = call_tool(NAME, {"operation": "word_wrap", "input": text, "width": width}).output
    assert all(len(line) <= width for line in wrapped.split("\n"))
    assert "".join(wrapped.split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"operation": "replace", "input": "a" * 1_000_000, "from": "a", "to": "b" * 1_000}, "more than 10,000,000"),
        ({"operation": "replace", "input": "a" * 1_000_000, "from": "", "to": "b" * 1_000}, "more than 10,000,000"),
        ({"operation": "regex", "input": "a" * 1_000_000, "pattern": "a", "replacement": "b" * 1_000}, "more than"),
        (
            {"operation": "regex", "input": "a" * 100_000, "pattern": "", "replacement": "$0" * 3 + "x" * 200},
            "more",
        ),
        ({"operation": "indent", "input": "\n" * 100_000, "spaces": 1_000}, "more than 10,000,000"),
        ({"operation": "join", "input": ["a"] * 20_000, "delimiter": "b" * 1_000}, "more than 10,000,000"),
        ({"operation": "format", "template": "{a}" * 20_000, "values": {"a": "b" * 1_000}}, "more than 10,000,000"),
        ({"operation": "join", "input": "a b"}, "join needs a JSON array"),
        ({"operation": "join", "input": '{"a": 1}'}, "join needs a JSON array"),
        ({"operation": "join", "input": "[[]]"}, "join needs a JSON array"),
        ({"operation": "split", "input": "a", "delimiter": ""}, "the delimiter is empty"),
        ({"operation": "extract", "input": "a", "pattern": "("}, "no regular expression"),
        ({"operation": "validate", "input": "a", "pattern": "a{99999999999}"}, "no regular expression"),
        ({"operation": "validate", "input": "a", "pattern": "(" * 5_000 + ")" * 5_000}, "no regular expression"),
        ({"operation": "case", "input": "a", "format": "x"}, "Unknown format: x; there are upper"),
        ({"operation": "format", "template": "{a}", "values": {}}, "no value for {a}"),
        ({"operation": "format", "template": "{a.b}", "values": {"a": 1}}, "no value for {a.b}"),
        ({"operation": "format", "template": "{a.__class__}", "values": {"a": "x"}}, "no value for {a.__class__}"),
    ],
)
def test_what_can_t_be_done_is_told(arguments: dict[str, Any], why: str) -> None:
    assert why in call_tool(NAME, arguments).said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"input": "x"}, "Missing required parameter 'operation'"),
        ({"operation": "invalid_operation", "text": "x"}, "Unknown operation: invalid_operation"),
        ({"operation": "uppercase"}, r"Missing required parameter 'input' \(or 'text'\)"),
        ({"operation": "replace", "input": "x"}, "Missing required parameter 'from'"),
        ({"operation": "replace", "input": "x", "options": {"from": "a"}}, "Missing required parameter 'to'"),
        ({"operation": "regex", "input": "x"}, "Missing required parameter 'pattern'"),
        ({"operation": "regex", "input": "x", "pattern": "x"}, "Missing required parameter 'replacement'"),
        ({"operation": "substring", "input": "x"}, "Missing required parameter 'start'"),
        ({"operation": "substring", "input": "x", "start": -1}, "Parameter 'start'"),
        ({"operation": "case", "input": "x"}, "Missing required parameter 'format'"),
        ({"operation": "constant"}, "Missing required parameter 'value'"),
        ({"operation": "contains", "input": "x"}, "Missing required parameter 'value'"),
        ({"operation": "validate", "input": "x"}, "Missing required parameter 'pattern'"),
        ({"operation": "format"}, "Missing required parameter 'input'"),
        ({"operation": "count", "input": "x", "count_type": "x"}, "Unknown count_type: x"),
        ({"operation": "word_wrap", "input": "x", "width": 0}, "Parameter 'width'"),
        ({"operation": "uppercase", "input": {}}, "Parameter 'input"),
        ({"operation": "trim", "input": "x", "options": 3}, "Parameter 'options'"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)


def test_a_format_that_it_does_not_know_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="can't format a text as markdown"):
        call_tool(NAME, {"operation": "format", "input": "x", "options": {"format": "markdown", "add_toc": True}})
