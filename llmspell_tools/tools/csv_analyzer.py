"""csv-analyzer: figures of a CSV table, its rows, those that fit a condition, and the same in other formats."""

from __future__ import annotations

import base64
import random
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.expressions import BadExpression, expression
from llmspell_tools.parameters import ToolParameters, missing, parameter
from llmspell_tools.tables.csv_tables import MOST_ERRORS, NotCsv, Table, kind_of, table, value_of
from llmspell_tools.tables.figures import analyzed, wrong_width
from llmspell_tools.tables.filters import OPERATORS, BadFilter, read_filter
from llmspell_tools.tables.output import excel, json_lines, parquet, record, records, separated
from llmspell_tools.texts.files import NotText, decoded
from llmspell_tools.values.json_values import written
from llmspell_tools.values.rules import BadRules, check_value

Operation = Literal["analyze", "parse", "convert", "filter", "transform", "validate", "sample"]
Format = Literal["json", "jsonlines", "csv", "tsv", "parquet", "excel"]

_FILE_ENDINGS = (".csv", ".tsv", ".tab", ".txt")
_PROGRESS_ROWS = 250_000


class Parameters(ToolParameters):
    """What `csv-analyzer` is called with. Options stand at the top level or in `options`."""

    operation: Operation = parameter("what to do", "analyze")
    input: str | None = parameter(
        f"CSV text, or the path of a file (one line that ends with {', '.join(_FILE_ENDINGS)})",
        None,
        also=("csv", "csv_data", "content", "data"),
    )
    file_path: str | None = parameter("the path of a file, of any name", None, also=("path",))
    encoding: str | None = parameter("the file's encoding; left out: found out", None)
    delimiter: str | None = parameter("left out: the one of , ; tab | that fits", None)
    has_headers: bool | None = parameter("whether the first row names the columns; left out: found out", None)
    options: dict[str, Any] = parameter("further parameters of the operation", {})
    format: Format = parameter("convert: into what", "json", also=("target_format", "output_format"))
    target_path: str | None = parameter("convert: a file for the result", None, also=("output_path",))
    filter: str | dict[str, Any] | None = parameter('filter: a condition such as "age > 30"', None)
    column: str | None = parameter("filter: in place of `filter`, with `operator` and `value`", None)
    operator: str | None = parameter(f"filter: {' '.join(OPERATORS)}", None)
    value: Any = parameter("filter: what is compared with", None)
    add_columns: dict[str, str] = parameter("transform: {name = expression of the row's numbers}", {})
    rename_columns: dict[str, str] = parameter("transform: {old = new}", {})
    select_columns: list[str] | None = parameter("transform: only these, in this order", None, also=("columns",))
    rules: Any = parameter("validate: rules of data-validator by column", None)
    size: int = parameter("sample: how many rows", 10, ge=0)
    method: Literal["first", "last", "random", "systematic"] = parameter("sample: which rows", "first")
    seed: int | None = parameter("sample: the same random rows again", None)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """With what `options` has, under all names; at the top level wins."""
        options = given.get("options")
        if not isinstance(options, Mapping):
            return {key: value for key, value in given.items() if key != "options" or value != []}
        named = {"target_format": "format", "output_format": "format", "output_path": "target_path"}
        return {**{named.get(str(key), str(key)): value for key, value in options.items()}, **given}


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    try:
        text, encoding, size_bytes = _text(wanted, call)
        found = table(text, delimiter=wanted.delimiter, has_headers=wanted.has_headers)
        return _OPERATIONS[wanted.operation](wanted, call, found, {"encoding": encoding, "file_size_bytes": size_bytes})
    except (NotCsv, NotText) as error:
        raise ToolFailure(f"not readable as CSV: {error}") from None


def _text(wanted: Parameters, call: Call) -> tuple[str, str, int]:
    """The text, its encoding, and how many bytes it has."""
    path = wanted.file_path
    if path is None:
        if wanted.input is None:
            raise missing("input", "csv", "file_path")
        text = wanted.input
        if "\n" in text or not text.strip().lower().endswith(_FILE_ENDINGS):
            return text.removeprefix("\ufeff"), "utf-8", len(text.encode(errors="surrogatepass"))
        path = text.strip()
    data = call.files.read_bytes(path, largest_bytes=int(call.tables["data"].get("max_csv_size", 104_857_600)))
    decoded_text, encoding = decoded(data, wanted.encoding)
    return decoded_text, encoding, len(data)


def _analyze(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    result = {**analyzed(found), **source}
    message = f"{result['row_count']:,} rows, {result['column_count']} columns"
    return Outcome(operation="analyze", result=result, output=result, message=message)


def _parse(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    return _rows("parse", list(records(found)))


def _rows(operation: str, rows: list[dict[str, Any]], said: str = "") -> Outcome:
    message = said or f"{len(rows):,} row{'s'[: len(rows) != 1]}"
    return Outcome(operation=operation, result=rows, output=rows, message=message)


def _convert(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    if wanted.format in ("parquet", "excel"):
        data = parquet(found) if wanted.format == "parquet" else excel(found)
        if wanted.target_path is not None:
            return _to_file(wanted, call, data)
        encoded = base64.b64encode(data).decode()
        result = {"format": wanted.format, "encoding": "base64", "data": encoded, "size_bytes": len(data)}
        return Outcome(operation="convert", result=result, output=result, message=f"{len(data):,} bytes")
    if wanted.format == "json":
        rows = list(records(found))
        if wanted.target_path is not None:
            return _to_file(wanted, call, written(rows, pretty=True).encode())
        return _rows("convert", rows)
    text = (
        json_lines(found) if wanted.format == "jsonlines" else separated(found, "\t" if wanted.format == "tsv" else ",")
    )
    if wanted.target_path is not None:
        return _to_file(wanted, call, text.encode())
    return Outcome(operation="convert", result=text, output=text, text=text, message=f"{len(text):,} characters")


def _to_file(wanted: Parameters, call: Call, data: bytes) -> Outcome:
    assert wanted.target_path is not None
    size = call.files.write(wanted.target_path, data)
    result = {"path": wanted.target_path, "format": wanted.format, "size_bytes": size}
    return Outcome(
        operation="convert", result=result, output=result, message=f"Wrote {size} bytes to {wanted.target_path}"
    )


def _filter(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    given: str | Mapping[str, Any] | None = wanted.filter
    if given is None and wanted.column is None:
        raise missing("filter", "column")
    if given is None:
        given = {"column": wanted.column, "operator": wanted.operator, "value": wanted.value}
    try:
        condition = read_filter(given, found.names)
    except BadFilter as error:
        raise InvalidRequest(f"Parameter 'filter': {error}") from None
    at, holds = found.names.index(condition.column), OPERATORS[condition.operator]
    kinds, rows = found.kinds(), []
    count = 0
    for count, row in enumerate(found.even_rows(), start=1):
        if holds(row[at], condition.value):
            rows.append(record(found.names, row, kinds))
        if count % _PROGRESS_ROWS == 0:
            call.progress(f"{count:,} rows", rows=count, found=len(rows))
    return _rows("filter", rows, f"{len(rows):,} of {count:,} rows")


def _transform(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    if not wanted.add_columns and not wanted.rename_columns and wanted.select_columns is None:
        raise missing("add_columns", "rename_columns", "select_columns")
    names = list(found.names)
    for name in wanted.rename_columns:
        _demand(name, names, "rename_columns")
    renamed = [wanted.rename_columns.get(name, name) for name in names]
    new = list(wanted.add_columns)
    for twice in {name for name in renamed + new if (renamed + new).count(name) > 1}:
        raise InvalidRequest(f"two columns would have the name '{twice}'")
    for name in wanted.select_columns or ():
        _demand(name, renamed + new, "select_columns")
    try:
        added = {name: expression(text) for name, text in wanted.add_columns.items()}
    except BadExpression as error:
        raise InvalidRequest(f"Parameter 'add_columns': {error}") from None
    kinds, rows = found.kinds(), []
    for count, row in enumerate(found.even_rows(), start=1):
        values = record(names, row, kinds)
        numbers = {name: value for name, value in values.items() if isinstance(value, (int, float))}
        made = {}
        for name, compute in added.items():
            try:
                made[name] = compute(numbers)
            except BadExpression as error:
                raise ToolFailure(f"row {count}: {name} = {wanted.add_columns[name]}: {error}") from None
        made = {**dict(zip(renamed, values.values(), strict=True)), **made}
        rows.append(made if wanted.select_columns is None else {name: made[name] for name in wanted.select_columns})
    return _rows("transform", rows)


def _demand(name: str, names: list[str], parameter_name: str) -> None:
    if name not in names:
        raise InvalidRequest(f"Parameter '{parameter_name}': there is no column '{name}'; there are {', '.join(names)}")


def _validate(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    """Every row has as many fields as there are columns, and its values keep to the rules of their columns."""
    checks = _checks(wanted.rules, found)
    width, names = len(found.names), found.names
    errors: list[dict[str, Any]] = []
    rows = count = 0

    def tell(row: int, column: str | None, value: Any, error: str) -> None:
        nonlocal count
        count += 1
        if count <= MOST_ERRORS:
            errors.append({"row": row, "column": column, "value": value, "error": error})

    for rows, row in enumerate(found.rows(), start=1):
        if len(row) != width:
            tell(rows, None, found.delimiter.join(row), wrong_width(row, width))
        for at, check in checks.items():
            field = row[at] if at < len(row) else ""
            broken = list(check(value_of(field, kind_of(field)), ""))
            # What looks like a number may be meant as text.
            if broken and any(check(field or None, "")):
                for one in broken:
                    tell(rows, names[at], field, one.message)
    result = {"valid": not count, "errors": errors, "total_rows": rows, "error_count": count}
    message = f"{rows:,} rows are valid" if not count else f"{count:,} errors in {rows:,} rows"
    return Outcome(operation="validate", result=result, output=result, message=message)


def _checks(rules: Any, found: Table) -> dict[int, Any]:
    """The check of each column that has rules; a list has the column in each rule (`column` or `field`)."""
    if isinstance(rules, Mapping) and isinstance(rules.get("rules"), (list, Mapping)) and len(rules) == 1:
        rules = rules["rules"]
    by_column: dict[str, list[Any]] = {}
    if isinstance(rules, list):
        for rule in rules:
            rest = dict(rule) if isinstance(rule, Mapping) else {}
            column = rest.pop("column", None) or rest.pop("field", None)
            if column is None:
                raise InvalidRequest(f"Parameter 'rules': each rule of a list names its 'column', not {rule!r}")
            by_column.setdefault(str(column), []).append(rest)
    elif isinstance(rules, Mapping):
        by_column = {str(name): one if isinstance(one, list) else [one] for name, one in rules.items()}
    elif rules is not None:
        raise InvalidRequest("Parameter 'rules': rules by column are needed, such as {age = {type = \"integer\"}}")
    checks = {}
    for name, several in by_column.items():
        _demand(name, list(found.names), "rules")
        try:
            checks[found.names.index(name)] = check_value(several)
        except BadRules as error:
            raise InvalidRequest(f"Parameter 'rules': {name}: {error}") from None
    return checks


def _sample(wanted: Parameters, call: Call, found: Table, source: Mapping[str, Any]) -> Outcome:
    rows, kinds, size = found.even_rows(), found.kinds(), wanted.size
    if wanted.method == "first":
        chosen = list(islice(rows, size))
    elif wanted.method == "last":
        chosen = list(rows)[-size:] if size else []
    else:
        every = list(rows)
        if wanted.method == "random":
            places = sorted(random.Random(wanted.seed).sample(range(len(every)), min(size, len(every))))
        else:
            places = [at * len(every) // size for at in range(size)] if size < len(every) else list(range(len(every)))
        chosen = [every[at] for at in places]
    return _rows("sample", [record(found.names, row, kinds) for row in chosen])


_OPERATIONS = {
    "analyze": _analyze,
    "parse": _parse,
    "convert": _convert,
    "filter": _filter,
    "transform": _transform,
    "validate": _validate,
    "sample": _sample,
}

TOOL = Tool(
    name="csv-analyzer",
    description="Reads CSV text or files: figures of every column, rows, filters, checks, samples, other formats.",
    category="data",
    level="safe",
    parameters=Parameters,
    run=run,
    needs=("read", "write"),
    settings=("data", "file_operations"),
    result=(
        "analyze: {row_count, column_count, encoding, delimiter, has_headers, columns: [{name, data_type, null_count, "
        "unique_count, min_value, max_value, mean, median, std_dev, sample_values}], file_size_bytes, parse_errors}; "
        "parse, filter, transform, sample: rows; convert: rows, text, {format, encoding, data, size_bytes}, or "
        "{path, format, size_bytes}; validate: {valid, errors: [{row, column, value, error}], total_rows, error_count}"
    ),
    keywords=("csv", "tsv", "table", "statistics", "excel", "parquet"),
    example={"input": "name,age\nAda,36\nAlan,41\n"},
)
