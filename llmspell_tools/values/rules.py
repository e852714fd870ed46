"""Rules that a value is held to, as a whole or by field: what they say, and what doesn't keep to them.

A rule is `{type, …}`. A type's name (`string`, `integer`) is a rule too, which its further keys go with:
`{type: "string", required: true, min_length: 2}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmspell_tools.texts.kinds import is_credit_card, is_date, is_email, is_phone, is_url, is_uuid

MOST_ERRORS = 100
"""More are not told."""
DEEPEST = 50
"""How many rules may be inside each other."""

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "boolean": lambda value: isinstance(value, bool),
    # An empty table of Lua is both.
    "array": lambda value: isinstance(value, list) or value == {},
    "object": lambda value: isinstance(value, dict) or value == [],
    "null": lambda value: value is None,
}
CUSTOM: Mapping[str, Callable[[str], bool]] = {"phone": is_phone, "uuid": is_uuid, "credit_card": is_credit_card}
_TEXTS: Mapping[str, tuple[Callable[[str], bool], str]] = {
    "email": (is_email, "it is not an email address"),
    "url": (is_url, "it is not a URL"),
}
_RULES = ("required", "type", "length", "range", "pattern", "enum", "email", "url", "date", "array", "object", "custom")


class BadRules(ValueError):
    """What was given is no rule; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule that a value doesn't keep to."""

    field: str
    """`items[2].name`; empty: the value itself"""
    value: Any
    rule: str
    message: str


class _Keys(BaseModel):
    """Every key that a rule may have."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    expected: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    pattern: str | None = None
    values: list[Any] | None = None
    enum: list[Any] | None = None
    format: str | None = None
    name: str | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique: bool = False
    item_rules: Any = None
    items: Any = None
    properties: dict[str, Any] = Field(default_factory=dict)
    required: bool | list[str] | dict[str, Any] = False
    additional_properties: bool = True


Check = Callable[[Any, str], Iterator[Broken]]
"""What of a value, at a place, doesn't keep to the rule."""


def check_value(given: Any) -> Check:
    """The check that rules, or rules by field, describe.

    Raises:
        BadRules: see there.
    """
    if isinstance(given, Mapping) and isinstance(given.get("rules"), (list, Mapping)) and len(given) == 1:
        given = given["rules"]
    if isinstance(given, Mapping) and given and not isinstance(given.get("type"), str):
        return _fields({str(name): _several(rules, str(name), DEEPEST) for name, rules in given.items()})
    return _several(given, "", DEEPEST)


def _several(given: Any, where: str, deeper: int) -> Check:
    """The check of a list of rules, of one rule, or of a rule's name."""
    if deeper == 0:
        raise BadRules(f"{_at(where)}more than {DEEPEST} rules are inside each other")
    if isinstance(given, Mapping) and isinstance(given.get("rules"), (list, Mapping)):
        given = given["rules"]
    if given in ({}, []):
        return _all([])
    rules = given if isinstance(given, list) else [given]
    return _all([check for rule in rules for check in _one(rule, where, deeper)])


def _one(rule: Any, where: str, deeper: int) -> list[Check]:
    if isinstance(rule, str):
        rule = {"type": rule}
    if not isinstance(rule, Mapping):
        raise BadRules(f"{_at(where)}a rule is {{type, …}}, not {rule!r}")
    kind: str | None = rule.get("type")
    try:
        keys = _Keys.model_validate({str(name): one for name, one in rule.items() if name != "type"})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadRules(f"{_at(where)}{first['loc'][0]}: {first['msg']}") from None
    if kind is not None and kind not in _RULES and kind not in TYPES:
        raise BadRules(f"{_at(where)}there is no rule {kind!r}; there are {', '.join((*_RULES, *TYPES))}")
    checks: list[Check] = [_required] if keys.required is True or kind == "required" else []
    if kind is not None and kind in TYPES and kind not in ("array", "object"):
        checks.append(_typed(kind))
    elif kind is not None and kind != "required":
        checks.append(_named(kind, keys, where, deeper))
    return [*checks, *_besides(kind, keys, where)]


def _named(kind: str, keys: _Keys, where: str, deeper: int) -> Check:
    """The check of the rules that have keys of their own."""
    match kind:
        case "type":
            expected = _key(keys.expected, "type", "expected", where)
            if expected not in TYPES:
                raise BadRules(f"{_at(where)}there is no type {expected!r}; there are {', '.join(TYPES)}")
            return _typed(expected)
        case "length":
            return _length(keys.min, keys.max)
        case "range":
            return _range(keys.min, keys.max)
        case "pattern":
            return _pattern(_key(keys.regex or keys.pattern, "pattern", "regex", where), where)
        case "enum":
            return _enum(_key(keys.values or keys.enum, "enum", "values", where))
        case "date":
            return _text("date", lambda text: is_date(text, keys.format), _no_date(keys.format))
        case "custom":
            name = _key(keys.name, "custom", "name", where)
            if name not in CUSTOM:
                raise BadRules(f"{_at(where)}there is no custom rule {name!r}; there are {', '.join(CUSTOM)}")
            return _text(f"custom {name}", CUSTOM[name], f"it is no {name.replace('_', ' ')}")
        case "array":
            inner = keys.item_rules if keys.item_rules is not None else keys.items
            return _array(keys, _several(inner, f"{where}[]", deeper - 1) if inner is not None else None)
        case "object":
            return _object(
                keys,
                {
                    name: _several(one, f"{where}.{name}" if where else name, deeper - 1)
                    for name, one in keys.properties.items()
                },
            )
    test, message = _TEXTS[kind]
    return _text(kind, test, message)


def _besides(kind: str | None, keys: _Keys, where: str) -> Iterator[Check]:
    """The checks of the keys that go with a type, or stand without one."""
    if kind in _RULES and kind not in ("array", "object", "email", "url", "required"):
        return
    if keys.min_length is not None or keys.max_length is not None:
        yield _length(keys.min_length, keys.max_length)
    if keys.min is not None or keys.max is not None:
        yield _length(keys.min, keys.max) if kind in ("string", "array", "email", "url") else _range(keys.min, keys.max)
    if keys.regex or keys.pattern:
        yield _pattern(keys.regex or keys.pattern or "", where)
    if keys.enum or keys.values:
        yield _enum(keys.enum or keys.values or [])
    if kind is None and keys.expected:
        yield _typed(keys.expected)


def _key(value: Any, rule: str, key: str, where: str) -> Any:
    if value is None:
        raise BadRules(f"{_at(where)}the rule '{rule}' needs '{key}'")
    return value


def _all(checks: Sequence[Check]) -> Check:
    def check(value: Any, field: str) -> Iterator[Broken]:
        for one in checks:
            yield from one(value, field)

    return check


def _fields(checks: Mapping[str, Check]) -> Check:
    def check(value: Any, field: str) -> Iterator[Broken]:
        if not TYPES["object"](value):
            yield Broken(field, value, "object", f"it is {_type(value)}, and the rules are for an object's fields")
            return
        for name, one in checks.items():
            yield from one(_found(value, name), f"{field}.{name}" if field else name)

    return check


def _found(value: Any, name: str) -> Any:
    """A field, or where there is none of this name, what a path with dots leads to; None where nothing is."""
    if not isinstance(value, dict) or name in value or "." not in name:
        return value.get(name) if isinstance(value, dict) else None
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _required(value: Any, field: str) -> Iterator[Broken]:
    if value is None or value == "":
        yield Broken(field, value, "required", "it is required" if value is None else "it is required, and is empty")


def _if_there(rule: str, test: Callable[[Any], str | None]) -> Check:
    """A check that lets pass what isn't there; `test` says what is wrong."""

    def check(value: Any, field: str) -> Iterator[Broken]:
        message = test(value) if value is not None else None
        if message is not None:
            yield Broken(field, value, rule, message)

    return check


def _text(rule: str, test: Callable[[str], bool], message: str) -> Check:
    return _if_there(
        rule,
        lambda value: (
            f"it is {_type(value)}, not text" if not isinstance(value, str) else None if test(value) else message
        ),
    )


def _typed(expected: str) -> Check:
    return _if_there(
        "type", lambda value: None if TYPES[expected](value) else f"it is {_type(value)}, not {_a(expected)}"
    )


def _length(least: float | None, most: float | None) -> Check:
    def test(value: Any) -> str | None:
        if not isinstance(value, (str, list, dict)):
            return f"{_type(value)} has no length"
        length, what = len(value), "characters" if isinstance(value, str) else "items"
        if least is not None and length < least:
            return f"it has {length} {what}, at least {least:g} are needed"
        return f"it has {length} {what}, at most {most:g} are allowed" if most is not None and length > most else None

    return _if_there("length", test)


def _range(least: float | None, most: float | None) -> Check:
    def test(value: Any) -> str | None:
        if not TYPES["number"](value):
            return f"it is {_type(value)}, not a number"
        if least is not None and value < least:
            return f"it is {value}, at least {least:g} is needed"
        return f"it is {value}, at most {most:g} is allowed" if most is not None and value > most else None

    return _if_there("range", test)


def _pattern(regex: str, where: str) -> Check:
    try:
        compiled = re.compile(regex)
    except (re.error, OverflowError, RecursionError) as error:
        raise BadRules(f"{_at(where)}'{regex}' is no regular expression: {error}") from None
    return _text("pattern", lambda text: compiled.search(text) is not None, f"it does not match '{regex}'")


def _enum(values: Sequence[Any]) -> Check:
    shown = ", ".join(repr(one) for one in values[:20])
    return _if_there(
        "enum", lambda value: None if any(_same(value, one) for one in values) else f"it is none of {shown}"
    )


def _array(keys: _Keys, of_items: Check | None) -> Check:
    sizes = _length(keys.min_items, keys.max_items)

    def check(value: Any, field: str) -> Iterator[Broken]:
        if value is None:
            return
        if not TYPES["array"](value):
            yield Broken(field, value, "array", f"it is {_type(value)}, not an array")
            return
        yield from (Broken(field, value, "array", one.message) for one in sizes(value, field))
        if keys.unique and any(_same(one, other) for at, one in enumerate(value) for other in value[:at]):
            yield Broken(field, value, "array", "it has an item twice")
        for at, item in enumerate(value if of_items is not None else ()):
            yield from of_items(item, f"{field}[{at}]")  # type: ignore[misc]

    return check


def _object(keys: _Keys, properties: Mapping[str, Check]) -> Check:
    needed = list(keys.required) if isinstance(keys.required, list) else []

    def check(value: Any, field: str) -> Iterator[Broken]:
        if value is None:
            return
        if not TYPES["object"](value):
            yield Broken(field, value, "object", f"it is {_type(value)}, not an object")
            return
        for name in needed:
            yield from _required(_found(value, name), f"{field}.{name}" if field else name)
        for name, one in properties.items():
            yield from one(_found(value, name), f"{field}.{name}" if field else name)
        if not keys.additional_properties:
            for name in sorted(set(value) - set(properties)):
                yield Broken(f"{field}.{name}" if field else name, value[name], "object", "there is no such property")

    return check


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON has it: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _no_date(form: str | None) -> str:
    return "it is not a date (ISO 8601)" if form is None else f"it is not a date of the form {form}"


def _type(value: Any) -> str:
    return _a(next((name for name in ("integer", *TYPES) if TYPES[name](value)), type(value).__name__))


def _a(name: str) -> str:
    return name if name == "null" else f"an {name}" if name[0] in "aio" else f"a {name}"


def _at(where: str) -> str:
    return f"{where}: " if where else ""
