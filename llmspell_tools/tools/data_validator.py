"""data-validator: whether data keeps to rules, by field or as a whole, or to a JSON Schema."""

from __future__ import annotations

from itertools import islice
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.parameters import ToolParameters, any_name, missing, parameter
from llmspell_tools.values.json_schema import BadSchema, problems
from llmspell_tools.values.json_values import NotJson, demand_depth, read_json
from llmspell_tools.values.rules import MOST_ERRORS, BadRules, check_value

with any_name():

    class Parameters(ToolParameters):
        """What `data-validator` is called with."""

        input: Any = parameter("the data", None, also=("data", "value"))
        rules: Any = parameter(
            'a list of rules `{type, …}`, `{rules = […]}`, or rules by field: `{email = {type = "email"}}`', None
        )
        schema: dict[str, Any] | bool | None = parameter("a JSON Schema, in place of rules", None)  # type: ignore[assignment]

        @classmethod
        def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
            """Rules and schema may be JSON text; a rule may be its name alone."""
            texts = {
                name: _read(value, name)
                for name in ("rules", "schema")
                if isinstance(value := given.get(name), str) and (name == "schema" or value.lstrip()[:1] in "{[")
            }
            return {**given, **texts}


def run(wanted: Parameters, call: Call) -> Outcome:
    """Tells everything that is wrong, up to a hundred."""
    if wanted.rules is None and wanted.schema is None:
        raise missing("rules", "schema")
    if wanted.input is None:
        raise missing("input", "data")
    deepest = int(call.tables["data"].get("max_json_depth", 100))
    try:
        demand_depth(wanted.input, deepest)
    except NotJson as error:
        raise ToolFailure(f"input: {error}") from None
    errors = _by_rules(wanted) if wanted.rules is not None else []
    if wanted.schema is not None:
        errors += _by_schema(wanted)
    errors = errors[:MOST_ERRORS]
    message = "valid"
    if errors:
        first = errors[0]
        place = f"{first['field']}: " if first["field"] else ""
        message = f"{len(errors)} error{'s'[: len(errors) != 1]}: {place}{first['message']}"
    result = {"valid": not errors, "errors": errors}
    return Outcome(operation="validate", result=result, output=not errors, message=message)


def _by_rules(wanted: Parameters) -> list[dict[str, Any]]:
    try:
        broken = list(islice(check_value(wanted.rules)(wanted.input, ""), MOST_ERRORS))
    except BadRules as error:
        raise InvalidRequest(f"Parameter 'rules': {error}") from None
    return [{"field": one.field, "value": one.value, "rule": one.rule, "message": one.message} for one in broken]


def _by_schema(wanted: Parameters) -> list[dict[str, Any]]:
    assert wanted.schema is not None
    try:
        found = problems(wanted.input, wanted.schema)
    except BadSchema as error:
        raise InvalidRequest(f"Parameter 'schema': {error}") from None
    return [{"field": one.where, "value": one.value, "rule": one.rule, "message": one.message} for one in found]


def _read(text: str, name: str) -> Any:
    try:
        return read_json(text, 100)
    except NotJson as error:
        raise InvalidRequest(f"Parameter '{name}' is not valid JSON: {error}") from None


TOOL = Tool(
    name="data-validator",
    description="Checks data against rules (required, type, length, range, pattern, email, …) or a JSON Schema.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    settings=("data",),
    result="{valid, errors: [{field, value, rule, message}]}; not valid is a result, no failure",
    keywords=("validate", "check", "schema", "rules", "email"),
    example={"input": {"email": "ada@example.com"}, "rules": {"email": {"type": "email"}}},
)
