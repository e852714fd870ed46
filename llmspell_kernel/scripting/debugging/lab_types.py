"""How JupyterLab's panel of variables shows a value: by the names of Python's types, and any other type in its place.

Source: `convertType` in its packages/debugger/src/panels/variables/grid.tsx.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EXACT = 1 << 53
"""Integers from here on lose digits in JavaScript."""


def for_lab(variable: Mapping[str, Any]) -> dict[str, Any]:
    """The variable with a type that lets its value be seen; without one, where Lab has none for it."""
    kind, value = variable.get("type"), str(variable.get("value", ""))
    if kind == "integer" and abs(int(value)) < _EXACT:
        return {**variable, "type": "int"}
    if kind == "boolean":
        return {**variable, "type": "bool"}
    if kind == "string":
        return {**variable, "type": "str"}
    return {name: field for name, field in variable.items() if name != "type"}
