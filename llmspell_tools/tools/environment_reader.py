"""environment-reader: variables of the client's environment, as far as the call may read them."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

from llmspell_protocol.errors import Unsupported
from llmspell_tools.contract import Call, Outcome, Tool
from llmspell_tools.parameters import ToolParameters, missing, parameter


class Parameters(ToolParameters):
    """What `environment-reader` is called with."""

    operation: Literal["get", "list", "pattern", "set"] = parameter(
        "what to do; `set` is refused: a call has no environment of its own that would outlive it"
    )
    variable_name: str | None = parameter("get: the variable", None, also=("name", "variable", "var_name"))
    value: str | None = parameter("set: the value", None)
    pattern: str | None = parameter("pattern: names with * and ?, such as LLMSPELL_*", None)

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Without an operation, a name is to be got, and a pattern to be looked for."""
        if given.get("operation") is None:
            if given.get("variable_name") is not None:
                given["operation"] = "get"
            elif given.get("pattern") is not None:
                given["operation"] = "pattern"
        return given


def run(wanted: Parameters, call: Call) -> Outcome:
    """Reads variables; which there are, the permissions of the call say."""
    if wanted.operation == "set":
        raise _unsettable(wanted)
    if wanted.operation == "get":
        return _got(wanted, call)
    variables = dict(call.environment.all())
    result: dict[str, Any] = {}
    if wanted.operation == "pattern":
        if wanted.pattern is None:
            raise missing("pattern")
        variables = {name: value for name, value in variables.items() if fnmatchcase(name, wanted.pattern)}
        result["pattern"] = wanted.pattern
    result = {"variables": variables, "count": len(variables), **result}
    return Outcome(
        operation=wanted.operation,
        result=result,
        output=variables,
        text="\n".join(f"{name}={value}" for name, value in variables.items()),
        message=f"{len(variables)} variables that may be read",
    )


def _got(wanted: Parameters, call: Call) -> Outcome:
    name = wanted.variable_name
    if name is None:
        raise missing("variable_name", "name", "variable", "var_name")
    value = call.environment.get(name)
    return Outcome(
        operation="get",
        result={"variable_name": name, "value": value, "found": value is not None},
        output=value,
        text=value or "",
        message=f"{name} is set" if value is not None else f"{name} is not set",
    )


def _unsettable(wanted: Parameters) -> Unsupported:
    return Unsupported(
        f"environment-reader can't set {wanted.variable_name or 'a variable'}: each call has its own process, "
        "and what it sets is gone with the call",
        hint="give a program its variables with process-executor's `environment`, or set them before the client starts",
        details={"tool": "environment-reader", "operation": "set"},
    )


TOOL = Tool(
    name="environment-reader",
    description="Reads environment variables of the client that are allowed: one, all, or those of a pattern.",
    category="system",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("env",),
    settings=("system",),
    result="get: {variable_name, value, found}; list, pattern: {variables: {NAME: VALUE}, count, pattern?}",
    keywords=("variable", "environment", "env", "getenv"),
)
