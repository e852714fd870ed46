"""The forms in which conditions are given: tables, functions, and texts that are Lua expressions. Evaluates none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llmspell_kernel.scripting.contexts import ScriptFunction
from llmspell_kernel.scripting.function_key import FUNCTION_KEY
from llmspell_kernel.services.workflows.definition import Condition
from llmspell_protocol.errors import InvalidRequest

_KEYS: Mapping[str, Sequence[tuple[str, ...]]] = {
    "always": (),
    "never": (),
    "step_output_contains": (("step_name", "step"), ("substring", "search_text")),
    "step_output_equals": (("step_name", "step"), ("value", "expected_output")),
    "shared_data_equals": (("key",), ("value", "expected_value")),
    "shared_data_exists": (("key",),),
    "shared_data_greater_than": (("key",), ("value",)),
    "shared_data_less_than": (("key",), ("value",)),
    "agent_evaluates_true": (("agent",), ("prompt",)),
    "expression": (("expression",),),
}
"""The keys of each type, each with its other names."""
_OF_OTHERS = ("and", "or", "not", "custom")


def condition_of(
    given: Any,
    where: str,
    function_of: Callable[[Mapping[str, Any]], ScriptFunction],
    counted: Callable[[], None],
    depth: int = 0,
) -> Condition:
    """A condition; `counted` is called for it and for each one in it.

    Raises:
        InvalidRequest: it is none.
    """
    counted()
    if depth > 32:
        raise InvalidRequest(f"{where}: conditions are nested deeper than 32")
    if isinstance(given, bool):
        return Condition(type="always" if given else "never")
    if isinstance(given, str):
        return Condition(type="expression", fields={"expression": given})
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"{where}: a condition must be a table, a function or a string")
    if FUNCTION_KEY in given:
        return Condition(type="custom", fields={"evaluate": function_of(given)})
    type = given.get("type")
    if type is None and "expression" in given:
        type = "expression"
    if type == "custom":
        function = given.get("evaluate", given.get("fn"))
        if not isinstance(function, Mapping) or FUNCTION_KEY not in function:
            raise InvalidRequest(f"{where}: a custom condition needs 'evaluate', a function")
        return Condition(type="custom", fields={"evaluate": function_of(function)})
    if type in ("and", "or"):
        several = given.get("conditions")
        if not isinstance(several, (list, tuple)) or not several:
            raise InvalidRequest(f"{where}: condition '{type}' needs 'conditions', a list")
        inner = tuple(condition_of(one, where, function_of, counted, depth + 1) for one in several)
        return Condition(type=type, fields={"conditions": inner})
    if type == "not":
        if given.get("condition") is None:
            raise InvalidRequest(f"{where}: condition 'not' needs 'condition'")
        return Condition(
            type="not", fields={"condition": condition_of(given["condition"], where, function_of, counted, depth + 1)}
        )
    if not isinstance(type, str) or type not in _KEYS:
        known = ", ".join([*_KEYS, *_OF_OTHERS])
        raise InvalidRequest(f"{where}: unknown condition type '{type}'. Supported types: {known}")
    fields: dict[str, Any] = {}
    for names in _KEYS[type]:
        found = next((name for name in names if given.get(name) is not None), None)
        if found is None:
            raise InvalidRequest(f"{where}: condition '{type}' needs '{names[0]}'")
        fields[names[0]] = given[found]
    if type == "agent_evaluates_true" and not (isinstance(fields["agent"], (str, Mapping)) and fields["agent"]):
        raise InvalidRequest(f"{where}: condition '{type}' needs 'agent', a name or its settings")
    return Condition(type=type, fields=fields)
