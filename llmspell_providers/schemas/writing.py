"""A schema as a model's engine is given it: in the few words that every grammar made of it reads as they are meant.

llama.cpp turns a schema into a grammar and drops what it does not know without an error. It picks one way to read each
(sub)schema, in a fixed order, and forgets the keywords that the way does not use; `Writing` follows that order
(common/json-schema-to-grammar.cpp, SchemaConverter::visit). What it would forget is refused; what it reads otherwise is
written anew, so that whatever fits the new schema fits the given one. Knows no model and no tool.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from llmspell_providers.schemas.document import LIST, NAMED, ONE, everywhere, target
from llmspell_providers.schemas.grammars import Grammar
from llmspell_providers.schemas.pattern import NotHeld, held, repetitions
from llmspell_providers.schemas.possible import fitting
from llmspell_providers.schemas.refusals import refuse, step

MOST_CHARACTERS = 1999
"""What a grammar counts to in a text; a `maxLength` beyond is left to the check of the reply."""
MOST_ITEMS = 600
"""What a grammar counts to in an array, whose items are several rules each."""
MOST_REPEATED = 100_000
"""Of all counts together: each is a rule."""
MOST_ALTERNATIVES = 500
"""At one place, alternatives of alternatives and entries of an `enum` counted in: the engine tries each with every
token."""
_WEIGHT = 5
"""What an alternative that is no entry of an `enum` counts: 900 objects took llama.cpp 44 s for 24 tokens."""

_REMARKS = frozenset(
    {"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly"}
)
"""Keywords that allow or forbid nothing."""
_SHOWN = ("title", "description", "default", "examples")
"""Of these, what a template may show to a model."""
_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LENGTHS = frozenset({"minLength", "maxLength"})
_COUNTS = frozenset({"minItems", "maxItems"})
_OBJECT = frozenset({"properties", "required", "additionalProperties"})
_FORMATS = re.compile(r"date|time|date-time|uuid[1-5]?")
_NAMES = re.compile(r'[^"\\\[\]^\x00-\x1f\x7f]+')
"""Names beside which other names can be told apart: the grammar writes their characters into a class as they are."""
_TYPES = ("string", "number", "boolean", "null", "object", "array")
_LARGEST = (1 << 63) - 2
_USUAL = 10**15 - 1
"""Where whole numbers end that have a bound at the other side only: 15 digits, which every reader of JSON keeps."""
ANYTHING: Mapping[str, Any] = {"anyOf": [{"type": kind} for kind in _TYPES]}


class Writing:
    """One schema written anew; a `$ref` is followed once.

    `is_strict`: what the grammar would forget is refused; else it stays where it is, for the model to read.
    `prefix` is what the names of definitions begin with.
    """

    def __init__(self, root: Mapping[str, Any], grammar: Grammar, *, is_strict: bool = True, prefix: str = "d") -> None:
        self._root = root
        self._at = ""
        self._grammar = grammar
        self._is_strict = is_strict
        self._prefix = prefix
        self._names: dict[int, str] = {}
        self._found: list[tuple[str, Any, str]] = []
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._repeated = 0

    def write(self, at: str) -> dict[str, Any]:
        """The schema for the engine, with the definitions that it needs.

        Raises:
            SchemaUnsupported: with the keyword and its place.
        """
        self._at = at
        written = dict(self._schema(self._root, at, is_root=True))
        for name, found, place in self._found:  # grows meanwhile
            self._definitions[name] = self._schema(found, place)
        if self._definitions:
            written["$defs"] = self._definitions
        self._demand_narrow(written, at)
        return written

    def _schema(self, schema: Any, at: str, *, is_root: bool = False) -> Mapping[str, Any]:
        if schema is False:
            refuse("false", at, "is not a schema that a reply can fit")
        if schema is True:
            return ANYTHING
        written, known = self._read(schema, at)
        for keyword in schema:
            if keyword in known or keyword in _REMARKS:
                continue
            if self._is_strict:
                refuse(keyword, step(at, keyword), "is a keyword that the engine's grammar would ignore here")
            if keyword not in LIST | NAMED | ONE and keyword not in written:
                written[keyword] = schema[keyword]
        for keyword in _SHOWN:
            if keyword in schema and not _has_reference(schema[keyword]):
                written[keyword] = schema[keyword]
        if not is_root and not set(written) - _REMARKS:
            written.update(ANYTHING)
        return written

    def _read(self, schema: Mapping[str, Any], at: str) -> tuple[dict[str, Any], frozenset[str]]:
        """The schema in the engine's words, and its keywords that these say all about."""
        if "$ref" in schema:
            return {"$ref": self._reference(schema["$ref"], at)}, frozenset({"$ref"})
        for union in ("oneOf", "anyOf"):
            if union in schema:
                return {"anyOf": self._list(union, schema[union], at)}, frozenset({union})
        for fixed in ("const", "enum"):
            if fixed in schema:
                return self._fixed(schema, fixed, at)
        kind = schema.get("type")
        if isinstance(kind, list) and len(kind) > 1:
            # Each type gets a copy of the schema, so a keyword has to count in at least one of them.
            readings = [self._read({**schema, "type": one}, at) for one in kind]
            known = frozenset().union(*(known for _, known in readings))
            return {"anyOf": [written for written, _ in readings]}, known
        return self._typed(schema, kind[0] if isinstance(kind, list) else kind, at)

    def _typed(self, schema: Mapping[str, Any], kind: str | None, at: str) -> tuple[dict[str, Any], frozenset[str]]:
        named = {} if kind is None else {"type": kind}
        if kind in (None, "object"):
            if "properties" in schema or schema.get("additionalProperties", True) is not True:
                return self._object(schema, at), _OBJECT | {"type"}
            if "allOf" in schema:
                return self._joined(schema, at)
            if kind == "object" and not schema.get("required"):
                return named, _OBJECT | {"type"}
        elif "allOf" in schema and len(schema["allOf"]) == 1:
            return self._joined(schema, at)
        if kind == "array" or (kind is None and ("items" in schema or "prefixItems" in schema)):
            return self._array(schema, at)
        if kind in (None, "string") and "pattern" in schema:
            return {"type": "string", "pattern": self._pattern(schema["pattern"], at)}, frozenset({"pattern", "type"})
        if kind in (None, "string") and _FORMATS.fullmatch(str(schema.get("format", ""))):
            return {"type": "string", "format": schema["format"]}, frozenset({"format", "type"})
        if kind == "string":
            return {**named, **self._range(schema, "minLength", "maxLength", MOST_CHARACTERS, at)}, _LENGTHS | {"type"}
        if kind == "integer" and self._grammar.integer_bounds:
            return {**named, **_whole_numbers(schema, at)}, _BOUNDS | {"type"}
        return named, frozenset({"type"})

    def _object(self, schema: Mapping[str, Any], at: str) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        written: dict[str, Any] = {"type": "object"}
        written["properties"] = {
            name: self._schema(child, step(at, "properties", name)) for name, child in properties.items()
        }
        required = list(schema.get("required", ()))
        for name in required:
            if name not in properties and self._is_strict:
                refuse("required", step(at, "required"), f"names '{name}', which is not among the properties")
        if required:
            written["required"] = required
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping):
            more = self._schema(more, step(at, "additionalProperties"))
        # Where the grammar can't tell other names apart there are none.
        is_told = all(_NAMES.fullmatch(name) for name in properties)
        if more is not None:
            written["additionalProperties"] = more if is_told else False
        return written

    def _joined(self, schema: Mapping[str, Any], at: str) -> tuple[dict[str, Any], frozenset[str]]:
        """An `allOf`: one schema as it is, or objects with properties, whose properties stand together."""
        places = [(step(at, "allOf", number), part) for number, part in enumerate(schema["allOf"])]
        known = frozenset({"allOf", "type"})
        if len(places) == 1:
            (place, part), *_ = places
            return dict(self._schema(part, place)), known
        properties: dict[str, Any] = {}
        required: list[str] = []
        allowed: set[str] | None = None
        for place, part in places:
            one = target(part["$ref"], self._root, place) if isinstance(part, Mapping) and "$ref" in part else part
            if not isinstance(one, Mapping) or "properties" not in one:
                refuse("allOf", place, "can only join objects with properties")
            for keyword in one:
                if keyword not in _REMARKS | _OBJECT | {"type"}:
                    refuse(keyword, step(place, keyword), "would be ignored inside allOf")
            for name, child in one["properties"].items():
                if properties.get(name, child) != child:
                    refuse("allOf", step(place, "properties", name), "describes a property a second time")
                properties[name] = child
            required += [name for name in one.get("required", ()) if name not in required]
            if one.get("additionalProperties") is False:
                allowed = set(one["properties"]) if allowed is None else allowed & set(one["properties"])
        kept = {name: child for name, child in properties.items() if allowed is None or name in allowed}
        return self._object({"properties": kept, "required": required}, at), known

    def _array(self, schema: Mapping[str, Any], at: str) -> tuple[dict[str, Any], frozenset[str]]:
        if not schema.keys() & {"items", "prefixItems", *_COUNTS}:
            return {"type": "array"}, frozenset({"type"})
        items = schema.get("items", True)
        tuple_of = "items" if isinstance(items, list) else "prefixItems" if "prefixItems" in schema else None
        if tuple_of is None:
            counts = self._range(schema, "minItems", "maxItems", MOST_ITEMS, at)
            of_one_kind = {"type": "array", "items": self._schema(items, step(at, "items")), **counts}
            return of_one_kind, _COUNTS | {"items", "type"}
        known = {tuple_of, "type", "minItems", "maxItems"}
        firsts = schema[tuple_of]
        if tuple_of == "prefixItems" and items is not True:
            if items is not False:
                refuse("items", step(at, "items"), "is a keyword that the engine's grammar would ignore here")
            known.add("items")
        if schema.get("minItems", 0) > len(firsts):
            refuse("minItems", step(at, "minItems"), "demands more items than the grammar is told of")
        count = int(min(len(firsts), schema.get("maxItems", len(firsts))))
        written = {"type": "array", "prefixItems": self._list(tuple_of, firsts[:count], at)}
        return written, frozenset(known)

    def _fixed(self, schema: Mapping[str, Any], keyword: str, at: str) -> tuple[dict[str, Any], frozenset[str]]:
        """The values of a `const` or an `enum` that fit the words beside it, which then have nothing left to say."""
        values = fitting(schema, keyword)
        if any(_has_reference(value) for value in values):
            refuse(keyword, step(at, keyword), "has a value with '$ref' in it, which the engine would follow")
        beside = _BOUNDS | _LENGTHS | _COUNTS | {"type", "pattern", "multipleOf", "const", "enum"}
        if not self._is_strict and "type" in schema:
            return {"type": schema["type"], "enum": values}, beside
        return {"enum": values}, beside

    def _list(self, keyword: str, schemas: Any, at: str) -> list[Mapping[str, Any]]:
        return [self._schema(child, step(at, keyword, number)) for number, child in enumerate(schemas)]

    def _range(self, schema: Mapping[str, Any], least_name: str, most_name: str, limit: int, at: str) -> dict[str, Any]:
        least, most = int(schema.get(least_name, 0)), schema.get(most_name)
        if least > limit:
            refuse(least_name, step(at, least_name), f"is {least}; the grammar counts to {limit:,}")
        written = {least_name: least} if least_name in schema else {}
        if most is not None and most <= limit:
            written[most_name] = int(most)
        self._count(written.get(most_name, least), most_name if most_name in written else least_name, at)
        return written

    def _pattern(self, pattern: str, at: str) -> str:
        try:
            written = held(pattern)
        except NotHeld as error:
            refuse("pattern", step(at, "pattern"), str(error))
        self._count(repetitions(written), "pattern", at)
        return written

    def _count(self, rules: int, keyword: str, at: str) -> None:
        self._repeated += rules
        if self._repeated > MOST_REPEATED:
            why = f"and other counts come to more than {MOST_REPEATED:,}, which a grammar is made for"
            refuse(keyword, step(at, keyword), why)

    def _reference(self, reference: str, at: str) -> str:
        found = target(reference, self._root, at)
        # Named anew: the engine takes two names for the same that differ in other characters than letters and digits.
        name = self._names.get(id(found))
        if name is None:
            name = self._names[id(found)] = f"{self._prefix}{len(self._names)}"
            self._found.append((name, found, f"{self._at}{reference.removeprefix('#')}"))
        return f"#/$defs/{name}"

    def _demand_narrow(self, written: Mapping[str, Any], at: str) -> None:
        counted: dict[str, int] = {}

        def alternatives(one: Mapping[str, Any]) -> int:
            if "$ref" in one:
                name = one["$ref"].rpartition("/")[2]
                if name not in counted:
                    counted[name] = 1
                    counted[name] = alternatives(self._definitions[name])
                return counted[name]
            if "anyOf" in one:
                return sum(alternatives(child) for child in one["anyOf"])
            return len(one["enum"]) if "enum" in one else _WEIGHT

        for place, one in everywhere(written, at):
            if alternatives(one) > MOST_ALTERNATIVES:
                most = MOST_ALTERNATIVES // _WEIGHT
                refuse(
                    "anyOf",
                    place,
                    f"comes to more than {most} alternatives, or {MOST_ALTERNATIVES} entries",
                    hint="have it choose in steps",
                )


def _whole_numbers(schema: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Bounds of whole numbers as two that are whole: the grammar reads a fraction, one bound alone and one out of 64
    bits otherwise, and of `minimum` and `exclusiveMinimum` the first alone.
    """
    lows = [math.ceil(schema["minimum"])] if "minimum" in schema else []
    highs = [math.floor(schema["maximum"])] if "maximum" in schema else []
    match schema.get("exclusiveMinimum"):
        case True:  # of drafts before the sixth, where it is a word about minimum
            lows = [math.floor(schema["minimum"]) + 1] if lows else []
        case int() | float() as bound if bound is not False:
            lows.append(math.floor(bound) + 1)
    match schema.get("exclusiveMaximum"):
        case True:
            highs = [math.ceil(schema["maximum"]) - 1] if highs else []
        case int() | float() as bound if bound is not False:
            highs.append(math.ceil(bound) - 1)
    if not lows and not highs:
        return {}
    low = max(lows) if lows else -_USUAL if min(highs) > -_USUAL else -_LARGEST
    high = min(highs) if highs else _USUAL if max(lows) < _USUAL else _LARGEST
    low, high = max(low, -_LARGEST), min(high, _LARGEST)
    if low > high:
        keyword = next(name for name in schema if name in _BOUNDS)
        refuse(keyword, step(at, keyword), "leaves no number of 64 bits")
    return {"minimum": low, "maximum": high}


def _has_reference(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "$ref" in value or any(_has_reference(child) for child in value.values())
    return isinstance(value, list) and any(_has_reference(child) for child in value)
