"""Whether a value is what a key's type says: one small function a type, made from the annotation. Knows no table.

TOML's types are taken as they are: no text is read as a number and no number as a text. The one conversion is from an
integer to the float that it stands for. Sentences for users are made in `loading/origins.py`; here problems have kinds:

`int_type float_type finite_number string_type bool_type tuple_type dict_type table_type literal_error range missing
unknown`, and those of `values.py`: `expected`, `wrong`, `at_odds`, whose context has the text.
"""

import math
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple, Protocol, Union, get_args, get_origin

from llmspell_protocol.numbers import INT64_HIGH, INT64_LOW, is_number, is_whole

Step = str | int
"""A key's name, or an item's number in a list."""

Check = Callable[[object, Any], Any]
"""(value, what values are relative to) → the value as it is kept. Raises `Refusal` or `Problems`."""


class Problem(NamedTuple):
    """One thing that is wrong, and where below the table that was checked."""

    kind: str
    path: tuple[Step, ...]
    value: object
    context: Mapping[str, Any]


class Refusal(Exception):
    """A value is wrong; `value` is what was looked at, where that isn't what was given."""

    def __init__(self, kind: str, context: Mapping[str, Any] | None = None, *value: object) -> None:
        super().__init__(kind)
        self.kind = kind
        self.context = context or {}
        self.value = value

    def problem(self, path: tuple[Step, ...], given: object) -> Problem:
        """The same as a problem at a place."""
        return Problem(self.kind, path, self.value[0] if self.value else given, self.context)


class Problems(Exception):
    """All that is wrong with a table, a list or a map."""

    def __init__(self, found: list[Problem]) -> None:
        super().__init__(", ".join(f"{'.'.join(map(str, each.path))}: {each.kind}" for each in found))
        self.found = found


class Mark(Protocol):
    """What stands in an `Annotated` and changes how a value is checked."""

    def around(self, check: Check) -> Check:
        """The check with this before it."""


class Collector:
    """Runs the checks of a table's keys, or of a list's items, and keeps what they refuse."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def checked(self, step: Step, check: Check, value: object, around: object) -> Any:
        """The value as it is kept; None where it was refused."""
        try:
            return check(value, around)
        except Refusal as refusal:
            self.found.append(refusal.problem((step,), value))
        except Problems as problems:
            self.found += (each._replace(path=(step, *each.path)) for each in problems.found)
        return None

    def end(self) -> None:
        """Raises `Problems` if there were any."""
        if self.found:
            raise Problems(self.found)


def check_of(annotation: Any, bounds: Mapping[str, float] | None = None) -> Check:
    """The check for an annotation: plain types, `Literal`, `X | None`, `tuple[X, ...]`, `dict[str, X]`, tables, marks.

    A class with a method `check` of its own (a table) checks itself. `bounds` are `ge`, `gt` and `le` of a number.
    """
    if hasattr(annotation, "__metadata__"):
        return _marked(check_of(annotation.__origin__, bounds), annotation.__metadata__)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        some = [check_of(each, bounds) for each in arguments if each is not type(None)]
        return _one_of(some, may_be_none=type(None) in arguments)
    if origin is Literal:
        return _word(arguments)
    if origin is tuple:
        return _list(check_of(arguments[0], bounds))
    if origin is dict:
        return _map(check_of(arguments[1], bounds))
    if hasattr(annotation, "check"):
        own: Check = annotation.check
        return own
    plain = _PLAIN.get(annotation, _anything)
    return _bounded(plain, bounds) if bounds else plain


def _marked(check: Check, marks: Iterable[Any]) -> Check:
    for mark in marks:
        if hasattr(mark, "around"):
            check = mark.around(check)
    return check


def _one_of(checks: list[Check], *, may_be_none: bool) -> Check:
    def check_one(value: object, around: object) -> Any:
        if value is None and may_be_none:
            return None
        for check in checks[:-1]:
            try:
                return check(value, around)
            except (Refusal, Problems):
                continue
        return checks[-1](value, around)

    return check_one


def _word(words: tuple[Any, ...]) -> Check:
    def check_word(value: object, _around: object) -> object:
        if not isinstance(value, str) or value not in words:
            raise Refusal("literal_error")
        return value

    return check_word


def _list(item: Check) -> Check:
    def check_list(value: object, around: object) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise Refusal("tuple_type")
        collector = Collector()
        kept = tuple(collector.checked(at, item, each, around) for at, each in enumerate(value))
        collector.end()
        return kept

    return check_list


def _map(entry: Check) -> Check:
    def check_map(value: object, around: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refusal("dict_type")
        collector = Collector()
        kept = {name: collector.checked(name, entry, each, around) for name, each in value.items()}
        collector.end()
        return kept

    return check_map


def _bounded(check: Check, bounds: Mapping[str, float]) -> Check:
    def check_range(value: object, around: object) -> Any:
        number = check(value, around)
        if isinstance(number, int | float) and not (
            number >= bounds.get("ge", -math.inf)
            and number > bounds.get("gt", -math.inf)
            and number <= bounds.get("le", math.inf)
        ):
            raise Refusal("range", bounds, number)
        return number

    return check_range


def _anything(value: object, around: object) -> object:
    """Keys that this schema doesn't know; their numbers are numbers all the same."""
    if isinstance(value, dict):
        return _map(_anything)(value, around)
    if isinstance(value, list):
        return list(_list(_anything)(value, around))
    if isinstance(value, float):
        _number(value, around)
    elif isinstance(value, int) and not isinstance(value, bool):
        _integer(value, around)
    return value


class Data:
    """The type of a key that is handed on as it is: texts, numbers, booleans, lists and tables of these."""

    @classmethod
    def check(cls, value: object, around: object) -> object:
        """The value; a date or time is refused, since JSON has none."""
        if isinstance(value, dict):
            return _map(cls.check)(value, around)
        if isinstance(value, list):
            return list(_list(cls.check)(value, around))
        if value is not None and not isinstance(value, bool | int | float | str):
            raise Refusal("expected", {"what": "a string, a number, true or false, a list or a table"})
        return _anything(value, around)


def _of_type(kind: type, refusal: str) -> Check:
    def check_type(value: object, _around: object) -> object:
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Refusal(refusal)
        return value

    return check_type


def _integer(value: object, _around: object) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refusal("int_type")
    if not is_whole(value):
        raise Refusal("range", {"ge": INT64_LOW, "le": INT64_HIGH})
    return value


def _number(value: object, _around: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Refusal("float_type")
    if not is_number(value):
        raise Refusal("finite_number" if isinstance(value, float) else "range", {"ge": INT64_LOW, "le": INT64_HIGH})
    return float(value)


_PLAIN: Mapping[Any, Check] = {
    bool: _of_type(bool, "bool_type"),
    int: _integer,
    str: _of_type(str, "string_type"),
    float: _number,
}
