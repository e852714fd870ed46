"""csv-analyzer: every operation, form and error; rows are held against the csv module, figures against statistics."""

from __future__ import annotations

import base64
import csv
import io
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.tool_calls import Called, call_tool

PEOPLE = (
    "name,age,height,member,born,city\n"
    "Ada,36,1.6,true,1815-12-10,London\n"
    "Alan,41,,false,1912-06-23,\n"
    '"O, ""X""",7,2,TRUE,2000-01-01,Köln\n'
)
ROWS = [
    {"name": "Ada", "age": 36, "height": 1.6, "member": True, "born": "1815-12-10", "city": "London"},
    {"name": "Alan", "age": 41, "height": None, "member": False, "born": "1912-06-23", "city": None},
    {"name": 'O, "X"', "age": 7, "height": 2.0, "member": True, "born": "2000-01-01", "city": "Köln"},
]


def analyze(text: str | None = PEOPLE, **arguments: Any) -> Called:
    return call_tool("csv-analyzer", {"input": text, **arguments})


def test_analyze_gives_the_figures_of_every_column() -> None:
    result = analyze().result
    assert {key: value for key, value in result.items() if key != "columns"} == {
        "row_count": 3,
        "column_count": 6,
        "encoding": "utf-8",
        "delimiter": ",",
        "has_headers": True,
        "file_size_bytes": len(PEOPLE.encode()),
        "parse_errors": [],
    }
    name, age, height, member, born, city = result["columns"]
    assert [one["data_type"] for one in result["columns"]] == [
        "string",
        "integer",
        "float",
        "boolean",
        "date",
        "string",
    ]
    assert age == {
        "name": "age",
        "data_type": "integer",
        "null_count": 0,
        "unique_count": 3,
        "min_value": 7,
        "max_value": 41,
        "mean": 28.0,
        "median": 36.0,
        "std_dev": pytest.approx(statistics.stdev([36, 41, 7])),
        "sample_values": [36, 41, 7],
    }
    assert (height["null_count"], height["max_value"], height["median"]) == (1, 2.0, 1.8)
    assert (name["min_value"], name["mean"], city["null_count"], city["unique_count"]) == ("Ada", None, 1, 2)
    assert (member["min_value"], born["min_value"]) == (None, "1815-12-10")


@pytest.mark.parametrize("name", ["input", "csv", "csv_data", "content", "data"])
def test_parse_gives_rows_of_values(name: str) -> None:
    assert call_tool("csv-analyzer", {"operation": "parse", name: PEOPLE}).output == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = f"a{delimiter}b\n1{delimiter}2\n3{delimiter}4\n"
    assert analyze(text, operation="parse").output == [{"a": 1, "b": 2}, {"a": 3, "b": 4}]
    assert analyze(text).result["delimiter"] == delimiter


def test_the_form_can_be_named() -> None:
    assert analyze("a:b\n1:2\n", operation="parse", delimiter=":").output == [{"a": 1, "b": 2}]
    assert analyze("a,b\n", operation="parse", options={"has_headers": False}).output == [
        {"column_1": "a", "column_2": "b"}
    ]
    assert analyze("1,2\n3,4\n", operation="parse").output[0] == {"column_1": 1, "column_2": 2}
    assert analyze("1,2\n3,4\n", operation="parse", has_headers=True).output == [{"1": 3, "2": 4}]
    assert "can't be a delimiter" in analyze("a", delimiter="ab").said


def test_columns_have_a_name_each() -> None:
    assert analyze("a,,a,\n1,2,3,4\n", operation="parse").output == [{"a": 1, "column_2": 2, "a_2": 3, "column_4": 4}]


def test_codes_with_zeros_before_them_stay_text() -> None:
    assert analyze("zip,n\n01234,1\n99999,2\n", operation="parse").output == [
        {"zip": "01234", "n": 1},
        {"zip": "99999", "n": 2},
    ]


def test_rows_of_another_length_are_told() -> None:
    result = analyze("a,b\n1\n1,2,3\n").result
    assert result["parse_errors"] == ["row 1: 1 field for 2 columns", "row 2: 3 fields for 2 columns"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there is nothing in it"),
        ("\n\n", "there is nothing"),
        ('a,"b\n', "unexpected end of data"),
        ('a,"b"c\n', "line 1"),
    ],
)
def test_what_is_not_csv_is_told(text: str, why: str) -> None:
    assert why in analyze(text).said


@pytest.mark.parametrize("kind", ["json", "jsonlines", "csv", "tsv"])
def test_convert_to_text_and_values(kind: str) -> None:
    called = analyze(operation="convert", format=kind)
    if kind == "json":
        assert called.output == ROWS
    elif kind == "jsonlines":
        assert [json.loads(line) for line in called.output.splitlines()] == ROWS
    else:
        rows = list(csv.reader(io.StringIO(called.output), delimiter="\t" if kind == "tsv" else ","))
        assert rows == list(csv.reader(io.StringIO(PEOPLE)))
    assert analyze(operation="convert", options={"format": kind}).output == called.output


def test_convert_to_parquet_and_excel_by_the_extra_s_libraries() -> None:
    import openpyxl
    import polars

    result = analyze(operation="convert", options={"format": "parquet"}).result
    data = base64.b64decode(result["data"])
    assert (result["format"], result["encoding"], result["size_bytes"]) == ("parquet", "base64", len(data))
    assert polars.read_parquet(io.BytesIO(data)).to_dicts() == ROWS
    data = base64.b64decode(analyze("a,b\n=1+1,2\n", operation="convert", format="excel").result["data"])
    sheet = openpyxl.load_workbook(io.BytesIO(data)).active
    assert sheet is not None
    assert [[cell.value for cell in row] for row in sheet.rows] == [["a", "b"], ["=1+1", 2]]
    # A text, no formula.
    assert sheet["A2"].data_type == "s"
    assert "control characters" in analyze("a\nb\x01\n", operation="convert", format="excel").said


@pytest.mark.parametrize(("kind", "module"), [("parquet", "polars"), ("excel", "openpyxl")])
def test_without_the_extra_it_is_said_how_to_install_it(
    kind: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What an import of a package that isn't there gives.
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(Unsupported, match=f"needs {module}") as refused:
        analyze(operation="convert", format=kind)
    assert "[tools]" in (refused.value.hint or "")
    assert analyze().result["row_count"] == 3


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("age > 30", ["Ada", "Alan"]),
        ("age >= 36", ["Ada", "Alan"]),
        ("age<36", ['O, "X"']),
        ("age <= 7.0", ['O, "X"']),
        ("name == Ada", ["Ada"]),
        ('name = "Ada"', ["Ada"]),
        ("name != 'Ada'", ["Alan", 'O, "X"']),
        ("member == true", ["Ada"]),
        ("city contains n", ["Ada", 'O, "X"']),
        ("name starts_with Al", ["Alan"]),
        ("name ends_with a", ["Ada"]),
        ("name matches ^A.{3}$", ["Alan"]),
        ("age in 7, 36", ["Ada", 'O, "X"']),
        ("height > 0", ["Ada", 'O, "X"']),
        ("born > 1900-01-01", ["Alan", 'O, "X"']),
        ("city == ", ["Alan"]),
    ],
)
def test_filter_gives_the_rows_that_fit(condition: str, names: list[str]) -> None:
    assert [row["name"] for row in analyze(operation="filter", options={"filter": condition}).output] == names
    assert [row["name"] for row in analyze(operation="filter", filter=condition).output] == names


@pytest.mark.parametrize("operator", [">", "gt", "greater_than"])
def test_a_condition_may_come_in_parts(operator: str) -> None:
    parts = {"column": "age", "operator": operator, "value": 36}
    for arguments in (parts, {"options": parts}, {"filter": parts}):
        assert [row["name"] for row in analyze(operation="filter", **arguments).output] == ["Alan"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "Missing required parameter 'filter'"),
        ({"filter": "weight > 3"}, "there is no column 'weight'"),
        ({"filter": "age"}, "not a column, an operator and a value"),
        ({"filter": "age >"}, "for empty fields"),
        ({"column": "age", "operator": "~", "value": 1}, "there is no operator '~'"),
        ({"column": "age", "operator": ">"}, "'value' is missing"),
        ({"filter": "name matches ("}, "no regular expression"),
    ],
)
def test_wrong_conditions_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        analyze(operation="filter", **arguments)
    assert why in refused.value.message


def test_transform_adds_renames_and_selects() -> None:
    called = analyze(
        operation="transform",
        options={"add_columns": {"double": "age * 2"}, "rename_columns": {"name": "who"}},
        select_columns=["double", "who"],
    )
    assert called.output[0] == {"double": 72, "who": "Ada"}
    assert list(called.output[0]) == ["double", "who"]
    assert "unknown name 'height'" in analyze(operation="transform", add_columns={"x": "height + 1"}).said
    for wrong in (
        {},
        {"add_columns": {"x": "age +"}},
        {"add_columns": {"age": "1"}},
        {"rename_columns": {"weight": "w"}},
        {"select_columns": ["weight"]},
    ):
        with pytest.raises(InvalidRequest):
            analyze(operation="transform", **wrong)


def test_validate_holds_columns_to_rules() -> None:
    rules = {"age": {"type": "integer", "min": 10}, "city": "required", "name": [{"type": "length", "max": 4}]}
    result = analyze(operation="validate", options={"rules": rules}).result
    assert result == {
        "valid": False,
        "errors": [
            {"row": 2, "column": "city", "value": "", "error": "it is required"},
            {"row": 3, "column": "age", "value": "7", "error": "it is 7, at least 10 is needed"},
            {"row": 3, "column": "name", "value": 'O, "X"', "error": "it has 6 characters, at most 4 are allowed"},
        ],
        "total_rows": 3,
        "error_count": 3,
    }
    listed = [{"column": "age", "type": "integer"}, {"field": "city", "type": "string"}]
    assert analyze(operation="validate", rules=listed).result["valid"] is True
    # A number may be meant as text, and a text is no number.
    mixed = "code\n12\nab\n"
    assert analyze(mixed, operation="validate", rules={"code": {"type": "pattern", "regex": "^..$"}}).result["valid"]
    assert analyze(mixed, operation="validate", rules={"code": "integer"}).result["error_count"] == 1
    assert analyze("a,b\n1\n", operation="validate").result["errors"] == [
        {"row": 1, "column": None, "value": "1", "error": "1 field for 2 columns"}
    ]
    for wrong in ({"weight": "required"}, {"age": "nothing"}, ["required"], 5):
        with pytest.raises(InvalidRequest):
            analyze(operation="validate", rules=wrong)


def test_sample_takes_some_rows() -> None:
    text = "n\n" + "".join(f"{n}\n" for n in range(100))

    def sampled(**arguments: Any) -> list[int]:
        return [row["n"] for row in analyze(text, operation="sample", **arguments).output]

    assert sampled() == list(range(10))
    assert sampled(size=3, method="last") == [97, 98, 99]
    assert sampled(options={"size": 4, "method": "systematic"}) == [0, 25, 50, 75]
    chosen = sampled(size=5, method="random", seed=1)
    assert chosen == sampled(size=5, method="random", seed=1) == sorted(set(chosen))
    assert sampled(size=0) == []
    assert len(sampled(size=1000, method="random")) == 100


def test_files_are_read_in_their_encoding(tmp_path: Path) -> None:
    text = "Stadt;Größe\n" + "Köln;1\nMünchen;2\nDüsseldorf;3\nTübingen;4\n" * 5
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        (tmp_path / "a.csv").write_bytes(text.encode(encoding))
        called = call_tool("csv-analyzer", {"input": "a.csv"}, read=[str(tmp_path)], directory=str(tmp_path))
        assert [one["name"] for one in called.result["columns"]] == ["Stadt", "Größe"], encoding
        assert called.result["columns"][0]["sample_values"][0] == "Köln"
    (tmp_path / "b").write_bytes("a\nÄ\n".encode("cp850"))
    arguments = {"operation": "parse", "file_path": str(tmp_path / "b"), "encoding": "cp850"}
    assert call_tool("csv-analyzer", arguments, read=[str(tmp_path)]).output == [{"a": "Ä"}]
    assert (
        "no text in utf-8" in call_tool("csv-analyzer", {**arguments, "encoding": "utf-8"}, read=[str(tmp_path)]).said
    )


def test_files_are_held_to_permissions_and_size(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(PEOPLE)
    arguments = {"file_path": str(tmp_path / "a.csv")}
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool("csv-analyzer", arguments)
    with pytest.raises(Forbidden, match="more than 10"):
        call_tool("csv-analyzer", arguments, read=[str(tmp_path)], tables={"data": {"max_csv_size": 10}})
    absent = call_tool("csv-analyzer", {"input": str(tmp_path / "b.csv")}, read=[str(tmp_path)])
    assert absent.failure is not None
    assert absent.failure.code == "not_found"
    with pytest.raises(InvalidRequest, match="Missing required parameter 'input'"):
        call_tool("csv-analyzer", {})


def test_a_conversion_may_go_to_a_file(tmp_path: Path) -> None:
    for kind in ("json", "jsonlines", "tsv", "parquet", "excel"):
        arguments = {"input": PEOPLE, "operation": "convert", "format": kind, "target_path": str(tmp_path / kind)}
        result = call_tool("csv-analyzer", arguments, write=[str(tmp_path)]).result
        assert result["size_bytes"] == (tmp_path / kind).stat().st_size > 0
        with pytest.raises(Forbidden):
            call_tool("csv-analyzer", arguments, read=[str(tmp_path)])


FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=8)


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(FIELDS, min_size=width, max_size=width), min_size=1)))
def test_what_the_csv_module_writes_comes_back(rows: list[list[str]]) -> None:
    # A line of one empty field is an empty line to readers.
    rows = [row for row in rows if row != [""]]
    names = [f"c{at}" for at in range(len(rows[0]))] if rows else ["c0"]
    file = io.StringIO(newline="")
    csv.writer(file).writerows([names, *rows])
    called = analyze(file.getvalue(), operation="convert", format="csv", delimiter=",", has_headers=True)
    assert list(csv.reader(io.StringIO(called.output, newline=""))) == [names, *rows]


@given(st.lists(st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9), min_size=2, max_size=30))
def test_figures_are_those_of_statistics(numbers: list[float]) -> None:
    [column] = analyze("n\n" + "".join(f"{number!r}\n" for number in numbers), has_headers=True).result["columns"]
    assert column["mean"] == pytest.approx(statistics.fmean(numbers))
    assert column["median"] == pytest.approx(statistics.median(numbers))
    assert column["std_dev"] == pytest.approx(statistics.stdev(numbers), rel=1e-6, abs=1e-6)
    assert (column["min_value"], column["max_value"]) == (min(numbers), max(numbers))
