"""Whether any value fits a schema, as far as its own words tell: bounds that contradict each other, names that must be
there and may not, references that come back to themselves.

llama.cpp subtracts one bound from the other, and builds rules until memory ends where that is less than nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from llmspell_providers.schemas.document import SAME_VALUE, everywhere, inner, target
from llmspell_providers.schemas.refusals import refuse, step
from llmspell_providers.schemas.well_formed import draft

_NOTHING_FITS = "correct the schema: nothing fits it"
_COUNTS = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
    ("minContains", "maxItems"),
)
_ABOUT_ONE = frozenset(
    {"type", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required", "uniqueItems"}
)
"""Keywords that a value is held to without looking at another schema."""
_TYPES = frozenset({"string", "number", "boolean", "object", "array", "null"})


def demand_possible(schema: Mapping[str, Any], at: str) -> None:
    """Refuses a schema of which some part fits no value; `schema` is well-formed.

    Raises:
        SchemaUnsupported: with the keyword that can't hold, and its place.
    """
    _demand_ends(schema, at)
    for place, one in everywhere(schema, at):
        parts = list(_together(one, schema, place))
        _demand_type(parts)
        _demand_counts(parts)
        _demand_numbers(parts)
        _demand_names(parts)
        _demand_items(one, place)
        _demand_fixed(one, place)
        if one.get("not") in ({}, True):
            refuse("not", step(place, "not"), "excludes every value", hint=_NOTHING_FITS)
    _demand_finite(schema, at)


_Parts = list[tuple[str, Mapping[str, Any]]]


def _together(schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The schemas that a value has to fit all at once: this one, what it refers to, what it joins; with places."""
    left: _Parts = [(at, schema)]
    seen: set[int] = set()
    while left:
        place, one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield place, one
        if "$ref" in one:
            found = target(one["$ref"], root, place)
            if isinstance(found, Mapping):
                left.append((place, found))
        left += [
            (step(place, "allOf", number), child)
            for number, child in enumerate(one.get("allOf", ()))
            if isinstance(child, Mapping)
        ]


def _demand_ends(root: Mapping[str, Any], at: str) -> None:
    """Refuses a reference that comes back to itself without a step into the value: it would be followed for ever."""
    done: set[int] = set()
    for place, one in everywhere(root, at):
        if "$ref" not in one or id(one) in done:
            continue
        path: list[tuple[Mapping[str, Any], Iterator[Mapping[str, Any]]]] = [(one, _same_value(one, root, place))]
        on_path = {id(one)}
        while path:
            current, following = path[-1]
            child = next(following, None)
            if child is None:
                path.pop()
                on_path.discard(id(current))
                done.add(id(current))
            elif id(child) in on_path:
                reference = one["$ref"]
                refuse("$ref", step(place, "$ref"), f"{reference!r} leads back to itself", hint="correct the schema")
            elif id(child) not in done:
                on_path.add(id(child))
                path.append((child, _same_value(child, root, place)))


def _same_value(schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[Mapping[str, Any]]:
    if "$ref" in schema:
        found = target(schema["$ref"], root, at)
        if isinstance(found, Mapping):
            yield found
    for keyword, _, child in inner(schema, at):
        if keyword in SAME_VALUE and isinstance(child, Mapping):
            yield child


def _demand_type(parts: _Parts) -> None:
    left = _TYPES
    for place, one in parts:
        if "type" in one:
            named = one["type"] if isinstance(one["type"], list) else [one["type"]]
            left &= {"number" if kind == "integer" else kind for kind in named}
            if not left:
                refuse("type", step(place, "type"), "leaves no type that a value could have", hint=_NOTHING_FITS)


def _demand_counts(parts: _Parts) -> None:
    for low_name, high_name in _COUNTS:
        lows = [(one[low_name], place) for place, one in parts if low_name in one]
        highs = [(one[high_name], place) for place, one in parts if high_name in one]
        if lows and highs and max(lows)[0] > min(highs)[0]:
            low, place = max(lows)
            why = f"is {low}, which is more than {high_name}, {min(highs)[0]}"
            refuse(low_name, step(place, low_name), why, hint=_NOTHING_FITS)


def _demand_numbers(parts: _Parts) -> None:
    lows = [(one, name == "exclusiveMinimum", name, place) for one, name, place in _bounds(parts, "inimum")]
    highs = [(one, name != "exclusiveMaximum", name, place) for one, name, place in _bounds(parts, "aximum")]
    if not lows or not highs:
        return
    low, is_open, name, place = max(lows)
    high, is_closed, other, _ = min(highs)
    is_whole = any(one.get("type") == "integer" for _, one in parts)
    if low > high or (low == high and (is_open or not is_closed)):
        refuse(name, step(place, name), f"leaves no number below {other}", hint=_NOTHING_FITS)
    steps = [Fraction(one["multipleOf"]) for _, one in parts if "multipleOf" in one] + (
        [Fraction(1)] if is_whole else []
    )
    for one_step in steps:
        first = math.floor(low / one_step) + 1 if is_open else math.ceil(low / one_step)
        last = math.floor(high / one_step) if is_closed else math.ceil(high / one_step) - 1
        if first > last:
            what = "whole number" if one_step == 1 else f"multiple of {float(one_step):g}"
            refuse(name, step(place, name), f"leaves no {what} below {other}", hint=_NOTHING_FITS)


def _bounds(parts: _Parts, ending: str) -> Iterator[tuple[Fraction, str, str]]:
    for place, one in parts:
        for name in one:
            # In drafts before the sixth, exclusiveMinimum is a word about minimum.
            if name.endswith(ending) and name in _ABOUT_ONE and not isinstance(one[name], bool):
                yield Fraction(one[name]), name, place


def _demand_names(parts: _Parts) -> None:
    required = {name: place for place, one in parts for name in one.get("required", ()) if isinstance(name, str)}
    for place, one in parts:
        properties = one.get("properties", {})
        for name, child in properties.items():
            if child is False and name in required:
                why = f"names '{name}', which no value fits"
                refuse("required", step(required[name], "required"), why, hint=_NOTHING_FITS)
        if one.get("additionalProperties") is not False or one.get("patternProperties"):
            continue
        for name in required:
            if name not in properties:
                why = f"names '{name}', which is not among the properties, and no other may be there"
                refuse("required", step(required[name], "required"), why, hint=_NOTHING_FITS)
        if one.get("minProperties", 0) > len(properties):
            why = "demands more properties than may be there"
            refuse("minProperties", step(place, "minProperties"), why, hint=_NOTHING_FITS)
    for place, one in parts:
        if len(required) > one.get("maxProperties", math.inf):
            why = "allows fewer properties than are required"
            refuse("maxProperties", step(place, "maxProperties"), why, hint=_NOTHING_FITS)


def _demand_items(one: Mapping[str, Any], place: str) -> None:
    firsts = one.get("prefixItems", one["items"] if isinstance(one.get("items"), list) else ())
    rest = one.get("additionalItems" if isinstance(one.get("items"), list) else "items")
    for number, child in enumerate(firsts):
        if child is False and one.get("minItems", 0) > number:
            refuse("minItems", step(place, "minItems"), "demands an item that nothing fits", hint=_NOTHING_FITS)
    if rest is False and one.get("minItems", 0) > len(firsts):
        refuse("minItems", step(place, "minItems"), "demands more items than may be there", hint=_NOTHING_FITS)
    if one.get("contains") is False and one.get("minContains", 1) > 0:
        refuse("contains", step(place, "contains"), "demands an item that nothing fits", hint=_NOTHING_FITS)


def _demand_fixed(one: Mapping[str, Any], place: str) -> None:
    """Refuses an `enum` or a `const` of which nothing fits what stands beside it."""
    for keyword in ("const", "enum"):
        if keyword in one and not fitting(one, keyword):
            if keyword == "enum" and not one["enum"]:
                refuse("enum", step(place, "enum"), "has no entries", hint=_NOTHING_FITS)
            refuse(keyword, step(place, keyword), "does not fit what stands beside it", hint=_NOTHING_FITS)


def fitting(one: Mapping[str, Any], keyword: str) -> list[Any]:
    """Those of a schema's fixed values (`keyword`: `const` or `enum`) that fit what stands beside them."""
    values = [one["const"]] if keyword == "const" else list(one["enum"])
    beside = {name: one[name] for name in _ABOUT_ONE if name in one}
    if keyword == "const" and "enum" in one:
        beside["enum"] = one["enum"]
    validator = draft(one)(beside)
    return [value for value in values if validator.is_valid(value)] if beside else values


def _demand_finite(root: Mapping[str, Any], at: str) -> None:
    """Refuses a schema whose values would have to hold each other without an end."""
    schemas = {id(one): (place, one) for place, one in everywhere(root, at)}
    ending: set[int] = set()
    order = [*schemas.items()]
    grows = True
    while grows:
        grows = False
        order.reverse()  # what is inside comes after what holds it, and references go either way
        for number, (place, one) in order:
            if number not in ending and _ends(one, root, place, ending):
                ending.add(number)
                grows = True
    for number, (place, one) in schemas.items():
        if number not in ending and not _has_hopeless_part(one, place, schemas, ending):
            keyword = next((name for name in ("$ref", "required", "minItems") if name in one), "schema")
            refuse(keyword, step(place, keyword), "demands values in values without an end", hint=_NOTHING_FITS)


def _ends(one: Mapping[str, Any], root: Mapping[str, Any], place: str, ending: set[int]) -> bool:
    """Whether a value fits that ends, as far as is known of the schemas that it needs."""

    def known(schema: Any) -> bool:
        return schema is True or (isinstance(schema, Mapping) and id(schema) in ending)

    if "$ref" in one and not known(target(one["$ref"], root, place)):
        return False
    if not all(known(child) for child in one.get("allOf", ())):
        return False
    for union in ("anyOf", "oneOf"):
        if union in one and not any(known(child) for child in one[union]):
            return False
    return all(known(child) for child in _needed(one))


def _types(one: Mapping[str, Any]) -> list[str]:
    kind = one.get("type", [])
    return kind if isinstance(kind, list) else [kind]


def _needed(one: Mapping[str, Any]) -> list[Any]:
    """The schemas of what has to be inside a value; one without a type is read by its other words, as engines do."""
    kinds = _types(one)
    if kinds == ["object"] or (not kinds and "properties" in one):
        return [one["properties"][name] for name in one.get("required", ()) if name in one.get("properties", {})]
    least = int(one.get("minItems", 0))
    if (kinds == ["array"] or not kinds) and least > 0:
        firsts = one.get("prefixItems", one["items"] if isinstance(one.get("items"), list) else ())
        needed = list(firsts[:least])
        if least > len(firsts) and isinstance(one.get("items"), Mapping | bool):
            needed.append(one["items"])
        return needed
    return []


def _has_hopeless_part(
    one: Mapping[str, Any], place: str, schemas: Mapping[int, tuple[str, Any]], ending: set[int]
) -> bool:
    """Whether a schema inside is already known not to end: the innermost one is told."""
    return any(id(child) in schemas and id(child) not in ending for _, _, child in inner(one, place))
