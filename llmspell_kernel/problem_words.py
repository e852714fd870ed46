"""What is wrong with a field, in words for those who sent it: no library's words, no type of Python's.

Knows the kinds of problems that pydantic tells of, and no field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_TRUTH = "must be true or false"
_LIST = "must be a list"
_OBJECT = "must be an object (in Lua a table with names)"
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be a string",
    "bytes_type": "must be bytes",
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "must be a finite number",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "bool_type": _TRUTH,
    "bool_parsing": _TRUTH,
    "dict_type": _OBJECT,
    "mapping_type": _OBJECT,
    "dataclass_type": _OBJECT,
    "model_type": _OBJECT,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "iterable_type": _LIST,
}


def said(problem: ErrorDetails) -> str:
    """What is wrong with the value at a problem's place."""
    kind, text = problem["type"], problem["msg"]
    if kind in _WORDS:
        return _WORDS[kind]
    if kind == "is_instance_of":
        return _LIST if text.endswith("Sequence") else _OBJECT if text.endswith("Mapping") else "has the wrong type"
    if text.startswith("Input should be "):
        text = f"must be {text.removeprefix('Input should be ')}"
    return text.removeprefix("Value error, ")
