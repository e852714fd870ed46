"""calculator: arithmetic, with variables and functions."""

from __future__ import annotations

import math
import time
from typing import Any, Literal

from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.expressions import CONSTANTS, FUNCTIONS, OPERATORS, BadExpression, check, evaluated
from llmspell_tools.parameters import ToolParameters, missing, parameter

_OF_TWO = {
    "add": "a + b",
    "subtract": "a - b",
    "multiply": "a * b",
    "divide": "a / b",
    "power": "a ^ b",
    "modulo": "a % b",
}
_OF_MANY = {"sum": "sum", "average": "avg", "avg": "avg", "min": "min", "max": "max"}

_MOST_BITS = 1024
"""A whole number may be as large as the largest floating point number."""

Number = int | float
Operation = Literal[
    "evaluate",
    "validate",
    "functions",
    "add",
    "subtract",
    "multiply",
    "divide",
    "power",
    "modulo",
    "sum",
    "average",
    "avg",
    "min",
    "max",
]


class Parameters(ToolParameters):
    """What `calculator` is called with."""

    operation: Operation = parameter(
        "what to do; of two numbers `a` and `b`: add … modulo; of `values`: sum, average, min, max", "evaluate"
    )
    input: str | None = parameter('the expression, such as "2 * (3 + x) ^ 2"', None, also=("expression",))
    variables: dict[str, Number | list[Number]] = parameter("values of the names in the expression", {})
    a: Number | None = parameter("the first number", None)
    b: Number | None = parameter("the second number", None)
    values: list[Number] | None = parameter("the numbers of sum, average, min and max", None)


def run(wanted: Parameters, call: Call) -> Outcome:
    """Computes; whole results are integers."""
    del call
    if wanted.operation == "functions":
        return Outcome(operation="functions", result=_functions(), message="Functions of the calculator")
    expression, variables = _expression(wanted)
    if wanted.operation == "validate":
        return _validated(expression)
    began = time.process_time()
    try:
        value, operations = evaluated(expression, variables)
    except BadExpression as error:
        raise ToolFailure(f"{expression}: {error}") from None
    took_ms = round((time.process_time() - began) * 1000, 3)
    shown = _shown(expression, value)
    return Outcome(
        operation=wanted.operation,
        result={"input": expression, "result": shown, "result_type": _type(value), "variables": variables},
        output=shown,
        text=str(shown).lower() if isinstance(value, bool) else str(shown),
        message=f"{expression} = {shown}",
        fields={"resource_usage": {"cpu_time_ms": took_ms, "operations_count": operations}},
    )


def _expression(wanted: Parameters) -> tuple[str, dict[str, Any]]:
    if wanted.operation in _OF_TWO:
        if wanted.a is None or wanted.b is None:
            raise missing("a" if wanted.a is None else "b")
        return _OF_TWO[wanted.operation], {"a": wanted.a, "b": wanted.b}
    if wanted.operation in _OF_MANY:
        if wanted.values is None:
            raise missing("values")
        return f"{_OF_MANY[wanted.operation]}(values)", {"values": wanted.values}
    if wanted.input is None:
        raise missing("input", "expression")
    return wanted.input, dict(wanted.variables)


def _validated(expression: str) -> Outcome:
    try:
        check(expression)
    except BadExpression as error:
        result = {"input": expression, "valid": False, "error": str(error)}
        return Outcome(operation="validate", result=result, output=False, message=f"{expression}: {error}")
    return Outcome(operation="validate", result={"input": expression, "valid": True}, output=True, message="valid")


def _functions() -> dict[str, Any]:
    return {
        **{name: list(words) for name, words in OPERATORS.items()},
        **{kind: sorted(functions) for kind, functions in FUNCTIONS.items()},
        "constants": list(CONSTANTS),
        "examples": ["2 + 3 * 4", "sqrt(16) + 2 ^ 10", "x > 3 ? x : 0", "avg([1, 2, 3])"],
    }


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "special" if isinstance(value, float) and not math.isfinite(value) else "float"


def _shown(expression: str, value: Any) -> Any:
    """Not a number and infinity as words: JSON has neither."""
    if isinstance(value, list):
        raise ToolFailure(f"{expression}: it gives a list, not a number; take sum, avg, min or max of it")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise ToolFailure(f"{expression}: the result is too large")
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


TOOL = Tool(
    name="calculator",
    description="Computes an arithmetic expression. It knows variables, functions, comparisons and lists.",
    category="utility",
    level="safe",
    parameters=Parameters,
    run=run,
    result=(
        "evaluate: {input, result, result_type, variables}; validate: {input, valid, error?}; functions: {KIND: [name]}"
    ),
    keywords=("math", "arithmetic", "compute", "sum", "average"),
    example={"input": "sqrt(16) + 2 ^ 10"},
)
