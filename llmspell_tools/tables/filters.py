"""The condition of a CSV filter: `column operator value`, as a sentence (`age > 30`) or in its parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class BadFilter(ValueError):
    """It can't be read; the message says why."""


class Filter(NamedTuple):
    """A condition on one column."""

    column: str
    operator: str
    value: Any


def _ordered(test: Callable[[Any, Any], bool]) -> Callable[[str, Any], bool]:
    """Compares as numbers what are numbers, else as text. Nothing stands before or after an empty field."""

    def compare(field: str, value: Any) -> bool:
        if not field.strip():
            return False
        left, right = _number(field), _number(value)
        return test(left, right) if left is not None and right is not None else test(field, _text(value))

    return compare


def _equal(field: str, value: Any) -> bool:
    left, right = _number(field), _number(value)
    return left == right if left is not None and right is not None else field == _text(value)


def _one_of(field: str, value: Any) -> bool:
    return any(_equal(field, one) for one in (value if isinstance(value, list) else [value]))


def _matches(field: str, value: Any) -> bool:
    return re.search(_text(value), field) is not None


OPERATORS: Mapping[str, Callable[[str, Any], bool]] = {
    "==": _equal,
    "!=": lambda field, value: not _equal(field, value),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    "contains": lambda field, value: _text(value) in field,
    "starts_with": lambda field, value: field.startswith(_text(value)),
    "ends_with": lambda field, value: field.endswith(_text(value)),
    "matches": _matches,
    "in": _one_of,
}
_WORDS = {
    "=": "==", "eq": "==", "equals": "==", "<>": "!=", "ne": "!=", "not_equals": "!=", "gt": ">", "greater_than": ">",
    "gte": ">=", "ge": ">=", "lt": "<", "less_than": "<", "lte": "<=", "le": "<=", "regex": "matches",
}  # fmt: skip
_OF_EMPTY_FIELDS = ("==", "=", "!=", "<>")
_SENTENCE = re.compile(
    r"\s*(?:\"(?P<quoted>[^\"]+)\"|(?P<name>.+?))\s*"
    r"(?P<operator>==|!=|<>|>=|<=|=|>|<|\b(?:contains|starts_with|ends_with|matches|in)\b)\s*(?P<value>.*?)\s*",
    re.DOTALL,
)


def read_filter(given: str | Mapping[str, Any], names: Sequence[str]) -> Filter:
    """The condition on one of the columns `names`.

    Raises:
        BadFilter: see there.
    """
    if isinstance(given, str):
        found = _SENTENCE.fullmatch(given)
        if found is None or (not found["value"] and found["operator"] not in _OF_EMPTY_FIELDS):
            empty = "; for empty fields: 'age =='" if found is not None else ""
            raise BadFilter(f"'{given}' is not a column, an operator and a value, such as 'age > 30'{empty}")
        column, operator = found["quoted"] or found["name"], found["operator"]
        value: Any = _unquoted(found["value"])
        if operator == "in":
            value = [_unquoted(one.strip()) for one in value.strip("()[]").split(",")]
    else:
        absent = [key for key in ("column", "operator", "value") if given.get(key) is None]
        if absent:
            raise BadFilter(f"'{absent[0]}' is missing")
        column, operator, value = str(given["column"]), str(given["operator"]).lower(), given["value"]
    operator = _WORDS.get(operator, operator)
    if operator not in OPERATORS:
        raise BadFilter(f"there is no operator '{operator}'; there are {', '.join(OPERATORS)}")
    if column not in names:
        raise BadFilter(f"there is no column '{column}'; there are {', '.join(names)}")
    if operator == "matches":
        try:
            re.compile(_text(value))
        except re.error as error:
            raise BadFilter(f"'{value}' is no regular expression: {error}") from None
    return Filter(column, operator, value)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
