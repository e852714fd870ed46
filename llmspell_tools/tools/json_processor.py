"""json-processor: asks JSON with jq, checks it, merges it, and writes it."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, any_name, missing, parameter
from llmspell_tools.values.json_schema import BadSchema, problems
from llmspell_tools.values.json_values import NotJson, demand_depth, read_json, read_many, written

Operation = Literal["query", "validate", "stream", "parse", "stringify", "format", "merge"]

# A program may neither read the worker's variables nor files. Modules are only imported at a program's beginning, where
# these definitions stand. On a line of its own, so that an error's place is the program's, a line further.
_BEFORE = 'def env: {}; def modulemeta: error("modules are not supported"); {} as $ENV |\n'
DEEPEST = 100
"""The default of `tools.data.max_json_depth`."""


with any_name():

    class Parameters(ToolParameters):
        """What `json-processor` is called with."""

        operation: Operation = parameter(
            "query (also parse), validate (with `schema`, or whether it is JSON), stream (the query for each of many "
            "values), stringify, format (pretty text), merge (with `merge_data`)",
            "query",
        )
        input: Any = parameter("JSON text, or the value itself", None, also=("text", "json", "json_data", "data"))
        query: str = parameter("a jq program", ".", also=("path",))
        schema: dict[str, Any] | bool | None = parameter("a JSON Schema", None)  # type: ignore[assignment]
        pretty: bool = parameter("stringify: with lines and indentation", False)
        merge_data: Any = parameter("merge: what is laid over the input; JSON text or a value", None)

        @classmethod
        def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
            """A schema may be JSON text."""
            schema = given.get("schema")
            try:
                return {**given, "schema": read_json(schema, DEEPEST)} if isinstance(schema, str) else given
            except NotJson as error:
                raise InvalidRequest(f"Parameter 'schema' is not valid JSON: {error}") from None


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says."""
    deepest = int(call.tables["data"].get("max_json_depth", DEEPEST))
    if wanted.input is None:
        raise missing("input", "json", "data")
    if wanted.operation == "validate":
        return _validated(wanted, deepest)
    if wanted.operation == "stream":
        values = [one for value in _many(wanted.input, deepest) for one in _asked(wanted.query, value, deepest)]
        return _gives("stream", values, f"{len(values)} values")
    value = _value(wanted.input, "input", deepest)
    if wanted.operation == "query":
        found = _asked(wanted.query, value, deepest)
        return _gives("query", found[0] if len(found) == 1 else found, f"{len(found)} result{'s'[: len(found) != 1]}")
    if wanted.operation == "merge":
        if wanted.merge_data is None:
            raise missing("merge_data")
        return _gives("merge", _merged(value, _value(wanted.merge_data, "merge_data", deepest)), "merged")
    if wanted.operation == "parse":
        return _gives("parse", value, "parsed")
    text = _text(value, pretty=wanted.pretty or wanted.operation == "format")
    return Outcome(operation=wanted.operation, result=text, output=text, text=text, message=f"{len(text)} characters")


def _gives(operation: str, value: Any, message: str) -> Outcome:
    return Outcome(operation=operation, result=value, output=value, text=_text(value, pretty=True), message=message)


def _text(value: Any, *, pretty: bool) -> str:
    try:
        return written(value, pretty=pretty)
    except NotJson as error:
        raise ToolFailure(f"it can't be written as JSON: {error}") from None


def _validated(wanted: Parameters, deepest: int) -> Outcome:
    said: list[str] = []
    try:
        value = _parsed(wanted.input, deepest)
        if wanted.schema is not None:
            found = problems(value, wanted.schema)
            said = [f"{one.where}: {one.message}" if one.where else one.message for one in found]
    except NotJson as error:
        said = [f"not valid JSON: {error}"]
    except BadSchema as error:
        raise InvalidRequest(f"Parameter 'schema': {error}") from None
    message = "valid" if not said else f"{len(said)} problem{'s'[: len(said) != 1]}: {said[0]}"
    return Outcome(operation="validate", result={"valid": not said, "errors": said}, output=not said, message=message)


def _parsed(given: Any, deepest: int) -> Any:
    if isinstance(given, str):
        return read_json(given, deepest)
    demand_depth(given, deepest)
    return given


def _value(given: Any, name: str, deepest: int) -> Any:
    try:
        return _parsed(given, deepest)
    except NotJson as error:
        raise ToolFailure(f"{name} is not valid JSON: {error}") from None


def _many(given: Any, deepest: int) -> list[Any]:
    """The values of a text with JSON after JSON (a line each, say), the elements of a list, or the one value."""
    try:
        if isinstance(given, str):
            values = read_many(given, deepest)
            given = values[0] if len(values) == 1 else values
    except NotJson as error:
        raise ToolFailure(f"input is not valid JSON: {error}") from None
    values = given if isinstance(given, list) else [given]
    return [value if isinstance(value, str) else _value(value, "input", deepest) for value in values]


def _asked(query: str, value: Any, deepest: int) -> list[Any]:
    """The results of a jq program. Its numbers are doubles; what the program `.` gives is the value as it was."""
    if query.strip() in (".", ""):
        return [value]
    # A library in C that only this tool needs.
    import jq  # type: ignore[import-not-found]

    try:
        program = jq.compile(_BEFORE + query)
    except ValueError as error:
        raise ToolFailure(f"query is no jq program: {_shown(str(error))}") from None
    try:
        # As text, since not every character of Python's is one of jq's.
        found = list(program.input_text(json.dumps(value, ensure_ascii=False, allow_nan=False)))
        for one in found:
            demand_depth(one, deepest)
    except UnicodeEncodeError:
        raise ToolFailure("input has half a character (a lone surrogate) in it") from None
    except NotJson as error:
        raise ToolFailure(f"a result of the query: {error}") from None
    except ValueError as error:
        raise ToolFailure(f"query {query!r} failed: {error}") from None
    return found


def _shown(error: str) -> str:
    """What jq says about a program, without the line that we put before it."""
    first = error.splitlines()[0].removeprefix("jq: error: ")
    return re.sub(r" at <top-level>, line (\d+)", lambda line: f" (line {int(line[1]) - 1})", first)


def _merged(value: Any, over: Any) -> Any:
    """Objects key by key, at every depth; anything else is replaced."""
    if not isinstance(value, dict) or not isinstance(over, dict):
        return over
    return {**value, **{key: _merged(value[key], one) if key in value else one for key, one in over.items()}}


TOOL = Tool(
    name="json-processor",
    description="Asks, checks, merges and writes JSON. Queries are jq programs; schemas are JSON Schema.",
    category="data",
    level="safe",
    parameters=Parameters,
    run=run,
    settings=("data",),
    result=(
        "query: the value, a list if the program gives several; validate: {valid, errors: [text]}; stream: [value]; "
        "parse, merge: the value; stringify, format: text"
    ),
    keywords=("jq", "query", "parse", "schema", "validate", "merge"),
    example={"input": '{"users": [{"name": "Ada"}]}', "query": ".users[0].name"},
)
