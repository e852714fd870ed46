"""json-processor: every operation, form and error; values are held against Python's json."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import InvalidRequest
from tests.support.tool_calls import Called, call_tool

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: value is not None)


def process(**arguments: Any) -> Called:
    return call_tool("json-processor", arguments)


@pytest.mark.parametrize(
    ("value", "query", "expected"),
    [
        ('{"a": {"b": [1, 2]}}', ".a.b[1]", 2),
        ({"a": 1, "b": 2}, ".a, .b", [1, 2]),
        ([1, 2, 3], "map(. * 2)", [2, 4, 6]),
        ([{"n": "x", "a": 3}, {"n": "y", "a": 7}], "[.[] | select(.a > 5) | .n]", ["y"]),
        ({"a": 1}, "empty", []),
        ({"a": None}, ".a", None),
        (5, ".", 5),
        ({"a": "é\u2028\0"}, ".a", "é\u2028\0"),
        ([1], "def f: 7; f # a remark", 7),
        ("\ufeff[1]", ".[0]", 1),
    ],
)
def test_a_query_gives_its_value_or_a_list_of_several(value: Any, query: str, expected: Any) -> None:
    called = process(input=value, query=query)
    assert called.result == expected
    assert called.outcome is not None
    assert json.loads(called.outcome.text or "") == expected


@pytest.mark.parametrize("name", ["input", "json", "json_data", "data", "text"])
def test_the_input_has_other_names(name: str) -> None:
    assert process(**{name: '{"a": 1}'}, path=".a").output == 1


def test_large_numbers_stay_as_they_are_where_nothing_is_computed() -> None:
    assert process(input="12345678901234567890").output == 12345678901234567890


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (".[", r"query is no jq program: syntax error, unexpected end of file \(line 1\)"),
        (".\n| foo(", r"\(line 2\)"),
        ("$x", "not defined"),
        ("nope", "nope/0 is not defined"),
        (".a.b.c", "Cannot index number"),
        ('error("my own")', "my own"),
        ("input", "failed"),
    ],
)
def test_a_query_that_can_t_be_run_is_told(query: str, why: str) -> None:
    import re

    assert re.search(why, process(input={"a": {"b": 1}}, query=query).said)


@pytest.mark.parametrize(
    "query",
    [
        'import "secret" as $s {search: "DIR"}; $s',
        'include "secret" {search: "DIR"}; .',
        '"secret" | modulemeta',
        '. as $x | import "secret" as $s {search: "DIR"}; $s',
    ],
)
def test_a_query_reads_no_file(query: str, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('"hidden"')
    (tmp_path / "secret.jq").write_text('def hidden: "hidden";')
    called = process(input=1, query=query.replace("DIR", str(tmp_path)))
    assert "hidden" not in called.said


@pytest.mark.parametrize("query", ["env", "$ENV", "env.PATH", "$ENV.PATH", "[env, $ENV] | map(length) | add"])
def test_a_query_reads_no_variable(query: str) -> None:
    assert os.environ["PATH"]
    assert process(input=1, query=query).result in ({}, None, 0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":', "line 1 column 6"),
        ("{'a': 1}", "line 1 column 2"),
        ("[1,]", "line 1 column"),
        ("", "there is nothing in it"),
        ("1 2", "more than one"),
        ("NaN", "JSON has no NaN"),
        ("[Infinity]", "JSON has no Infinity"),
        ("9" * 5000, "digits"),
        ("[" * 101 + "]" * 101, "nested deeper than 100"),
        ('{"a":' * 100_000, "nested deeper than 100"),
        ("[" * 100_000, "nested deeper than 100"),
    ],
)
def test_what_is_not_json_is_told(text: str, why: str) -> None:
    for operation in ("query", "parse", "stream", "format"):
        if operation != "stream" or why not in ("more than one", "there is nothing in it"):
            assert why in process(operation=operation, input=text).said
    assert process(operation="validate", input=text).result["valid"] is False


def test_a_deep_value_is_read_as_deep_as_the_setting_says() -> None:
    text = "[" * 100 + "]" * 100
    assert process(operation="parse", input=text).result == json.loads(text)
    tables = {"data": {"max_json_depth": 3}}
    arguments = {"operation": "parse", "input": [[[[]]]]}
    assert "max_json_depth" in call_tool("json-processor", arguments, tables=tables).said
    made = process(input=1, query="reduce range(300) as $i (0; [.])")
    assert "nested deeper" in made.said


def test_a_surrogate_alone_is_refused_by_a_query() -> None:
    assert "surrogate" in process(input='"\\ud800"', query='. + ""').said


def test_validate_says_whether_it_is_json_or_keeps_to_a_schema() -> None:
    assert process(operation="validate", input='{"a": 1}').result == {"valid": True, "errors": []}
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]}
    called = process(operation="validate", input={"a": 1}, schema=schema)
    assert called.result == {"valid": False, "errors": ["'b' is a required property", "a: 1 is not of type 'string'"]}
    assert called.output is False
    assert process(operation="validate", input=[1], schema=json.dumps({"items": {"type": "integer"}})).output is True
    assert process(operation="validate", input=[1], schema=False).output is False


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "#"},
        {"pattern": "("},
        "{",
    ],
)
def test_a_schema_that_is_none_is_refused_and_nothing_is_fetched(schema: Any) -> None:
    with pytest.raises(InvalidRequest, match="Parameter 'schema'"):
        process(operation="validate", input="1", schema=schema)


def test_stream_asks_each_of_many_values() -> None:
    lines = '{"n": 1}\n{"n": 2}\n\n{"n": 3}'
    assert process(operation="stream", input=lines, query=".n").output == [1, 2, 3]
    assert process(operation="stream", input=[{"n": 1}, {"n": 2}], query=".n, 0").output == [1, 0, 2, 0]
    assert process(operation="stream", input='{"n": 1}').output == [{"n": 1}]


def test_parse_stringify_and_format() -> None:
    assert process(operation="parse", input='{"a": [1]}').output == {"a": [1]}
    assert process(operation="stringify", input={"a": "ü"}).output == '{"a": "ü"}'
    assert process(operation="stringify", input={"a": 1}, pretty=True).output == '{\n  "a": 1\n}'
    assert process(operation="format", input='{"a":1}').output == '{\n  "a": 1\n}'


def test_merge_goes_into_objects_and_replaces_the_rest() -> None:
    called = process(operation="merge", input={"a": {"b": 1, "l": [1]}}, merge_data='{"a": {"c": 2, "l": []}, "d": 3}')
    assert called.output == {"a": {"b": 1, "c": 2, "l": []}, "d": 3}
    with pytest.raises(InvalidRequest, match="'merge_data'"):
        process(operation="merge", input={})
    assert "merge_data is not valid JSON" in process(operation="merge", input={}, merge_data="{").said


def test_what_is_missing_or_unknown_is_said() -> None:
    with pytest.raises(InvalidRequest, match="Missing required parameter 'input'"):
        process(query=".")
    with pytest.raises(InvalidRequest, match="Unknown operation: explode"):
        process(operation="explode", input=1)


@given(VALUES)
def test_values_come_through_jq_and_json_as_they_were(value: Any) -> None:
    text = json.dumps(value)
    assert process(operation="parse", input=text).output == value
    # `[.]` for strings: their text would be read as JSON.
    assert process(input=[value], query=".[0] | .").result == value
    written = process(operation="stringify", input=[value]).output
    assert json.loads(written) == [value]


@given(st.text())
def test_it_reads_what_json_reads_and_nothing_else(text: str) -> None:
    def constant(name: str) -> None:
        raise ValueError(name)

    try:
        json.loads(text, parse_constant=constant)
    except ValueError:
        assert process(operation="validate", input=text).output is False
    else:
        assert process(operation="validate", input=text).output is True
