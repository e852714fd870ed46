"""diff-calculator: texts, JSON and files in every form; what is told is enough to make one side of the other."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest
from tests.support.tool_calls import call_tool

NAME = "diff-calculator"
OLD = "one\ntwo\nthree\n"
NEW = "one\n2\nthree\nfour\n"
TEXTS = st.text(alphabet="ab\n\r\u2028", max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)


def patched(old: str, diff: str) -> str:
    """A unified diff applied, as `patch` does it."""
    lines, out, place = re.findall(r"[^\n]*\n|[^\n]+", old), [], 0
    hunks = re.findall(r"[^\n]*\n", diff)[2:]
    for number, line in enumerate(hunks):
        text = line[1:]
        if number + 1 < len(hunks) and hunks[number + 1].startswith("\\"):
            text = text[:-1]
        if line.startswith("@@"):
            start, count = re.findall(r"-(\d+)(?:,(\d+))?", line)[0]
            begin = int(start) - (0 if count == "0" else 1)
            out += lines[place:begin]
            place = begin
        elif line[0] == "+":
            out.append(text)
        elif line[0] in " -":
            assert lines[place] == text
            out += [text] if line[0] == " " else []
            place += 1
    return "".join([*out, *lines[place:]])


@given(TEXTS, TEXTS)
def test_a_unified_difference_makes_the_new_text_of_the_old(old: str, new: str) -> None:
    result = call_tool(NAME, {"old_text": old, "new_text": new}).result
    assert patched(old, result["diff"]) == new
    assert result["has_differences"] is result["has_changes"] is (old != new)
    assert any(result["summary"].values()) is (old != new)


@given(TEXTS, TEXTS)
def test_an_inline_difference_has_both_texts(old: str, new: str) -> None:
    diff = call_tool(NAME, {"old_text": old, "new_text": new, "format": "inline"}).result["diff"]
    diff = diff.replace("\n\\ No newline at end of file\n", "")
    for text, signs in ((old, " -"), (new, " +")):
        lines = re.findall(r"[^\n]*\n|[^\n]+", text)
        for sign_and_line in lines:
            assert any(f"{sign}{sign_and_line}" in diff for sign in signs)


@pytest.mark.parametrize(
    "arguments",
    [
        {"old_text": OLD, "new_text": NEW},
        {"left": OLD, "right": NEW},
        {"type": "text", "old_text": OLD, "new_text": NEW, "format": "unified"},
        {"operation": "text_diff", "old_text": OLD, "new_text": NEW},
    ],
)
def test_the_texts_have_several_names(arguments: dict[str, Any]) -> None:
    called = call_tool(NAME, arguments)
    diff = "--- old\n+++ new\n@@ -1,3 +1,4 @@\n one\n-two\n+2\n three\n+four\n"
    assert called.result == {
        "type": "text",
        "diff": diff,
        "output": diff,
        "format": "unified",
        "stats": {"old_lines": 3, "new_lines": 4},
        "has_differences": True,
        "has_changes": True,
        "summary": {"added": 1, "removed": 0, "modified": 1},
    }
    assert called.output == diff


def test_a_difference_is_written_as_diff_does_with_context_or_in_words() -> None:
    lines = [OLD.splitlines(keepends=True), NEW.splitlines(keepends=True)]
    context = call_tool(NAME, {"left": OLD, "right": NEW, "format": "context"}).output
    assert context == "".join(difflib.context_diff(*lines, "old", "new"))
    simple = call_tool(NAME, {"left": OLD, "right": NEW, "format": "simple"}).output
    assert simple == "Total changes: 2\n\nReplaced at lines 2-2 with lines 2-2\nAdded at line 4: 1 line(s)\n"
    gone = call_tool(NAME, {"left": NEW, "right": "one\n2\nthree\n", "format": "simple"}).output
    assert gone == "Total changes: 1\n\nRemoved at line 4: 1 line(s)\n"


def test_a_missing_end_of_line_is_a_difference() -> None:
    called = call_tool(NAME, {"left": "a", "right": "a\n", "format": "inline"})
    assert called.output == "-a\n\\ No newline at end of file\n+a\n"
    same = call_tool(NAME, {"left": "a", "right": "a"})
    assert (same.output, same.result["has_differences"]) == ("", False)


@pytest.mark.parametrize(
    "arguments",
    [
        {"type": "json", "old_json": {"a": 1, "b": 2, "d": 0}, "new_json": {"a": 1, "b": 3, "c": 4}},
        {"old_json": {"a": 1, "b": 2, "d": 0}, "new_json": {"a": 1, "b": 3, "c": 4}},
        {"old_json": '{"a": 1, "b": 2, "d": 0}', "new_json": '{"a": 1, "b": 3, "c": 4}'},
        {"left": '{"a": 1, "b": 2, "d": 0}', "right": '{"a": 1, "b": 3, "c": 4}', "format": "json"},
        {"left": {"a": 1, "b": 2, "d": 0}, "right": {"a": 1, "b": 3, "c": 4}},
        {"operation": "json_diff", "left": '{"a":1,"b":2,"d":0}', "right": '{"a":1,"b":3,"c":4}'},
    ],
)
def test_json_is_compared_by_value(arguments: dict[str, Any]) -> None:
    called = call_tool(NAME, arguments)
    found = {"added": {"c": 4}, "removed": {"d": 0}, "modified": {"b": {"old": 2, "new": 3}}, "unchanged": ["a"]}
    assert called.output == called.result["diff"] == found
    assert {name: called.result[name] for name in found} == found
    assert called.result["summary"] == {"added": 1, "removed": 1, "modified": 1, "unchanged": 1}
    assert called.result["has_differences"] is True


@pytest.mark.parametrize(
    ("old", "new", "modified"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"a.b": {"old": 1, "new": 2}}),
        ([1], [1, 2], {"[]": {"old": [1], "new": [1, 2], "old_length": 1, "new_length": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": {"old": [1], "new": [2], "old_length": 1, "new_length": 1}}),
        ({"a": True}, {"a": 1}, {"a": {"old": True, "new": 1}}),
        (
            {"a": {"b": [True]}},
            {"a": {"b": [1]}},
            {"a.b": {"old": [True], "new": [1], "old_length": 1, "new_length": 1}},
        ),
        ({"a": 1}, {"a": 1.0}, {}),
        ('"x"', '"y"', {"": {"old": "x", "new": "y"}}),
    ],
)
def test_values_within_values_are_compared(old: Any, new: Any, modified: dict[str, Any]) -> None:
    result = call_tool(NAME, {"type": "json", "old_json": old, "new_json": new}).result
    assert result["modified"] == modified
    assert result["has_differences"] is bool(modified)


@given(VALUES, VALUES)
def test_json_differs_where_its_text_does(old: Any, new: Any) -> None:
    given_both = {"type": "json", "old_json": json.dumps(old), "new_json": json.dumps(new)}
    differ = json.dumps(old, sort_keys=True) != json.dumps(new, sort_keys=True)
    assert call_tool(NAME, given_both).result["has_differences"] is differ


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"x": 1}')
    (tmp_path / "b").write_text('{"x": 2}')
    files = {"old_file": "a", "new_file": "b"}
    allowed: dict[str, Any] = {"read": [str(tmp_path)], "directory": str(tmp_path)}
    assert call_tool(NAME, files, **allowed).result["summary"] == {"added": 0, "removed": 0, "modified": 1}
    as_json = call_tool(NAME, {**files, "type": "json"}, **allowed)
    assert as_json.result["modified"] == {"x": {"old": 1, "new": 2}}
    mixed = call_tool(NAME, {"old_file": "a", "new_text": '{"x": 1}'}, **allowed)
    assert mixed.result["has_differences"] is False
    assert "no such file" in call_tool(NAME, {**files, "new_file": "c"}, **allowed).said
    (tmp_path / "c").write_bytes(b"\xff")
    assert "not text in utf-8" in call_tool(NAME, {**files, "new_file": "c"}, **allowed).said
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool(NAME, {**files, "new_file": "/etc/passwd"}, **allowed)


def test_what_is_not_json_is_told() -> None:
    assert "old_json is not JSON" in call_tool(NAME, {"type": "json", "old_json": "{", "new_json": "{}"}).said
    assert "NaN is no number" in call_tool(NAME, {"type": "json", "old_json": "[NaN]", "new_json": "[]"}).said


def test_a_huge_difference_is_refused() -> None:
    called = call_tool(NAME, {"old_text": "a" * 6_000_000, "new_text": "b" * 6_000_000})
    assert "the difference would have" in called.said


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"new_text": ""}, r"Missing required parameter 'old_text' \(or 'left', 'old_file'\)"),
        ({"old_text": ""}, "Missing required parameter 'new_text'"),
        ({"type": "json", "old_json": {}}, "Missing required parameter 'new_json'"),
        ({"type": "x"}, "Unknown type: x"),
        ({"old_text": "", "new_text": "", "format": "x"}, "Unknown format: x"),
    ],
)
def test_what_is_wrong_with_a_call_is_told(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        call_tool(NAME, arguments)
