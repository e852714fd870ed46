"""JSON Schemas around a generation: what the engine's grammar would silently ignore, and whether the reply fits.

llama.cpp turns a schema into a grammar and drops what it does not know without an error. It picks one way to read each
(sub)schema, in a fixed order, and forgets the keywords that the way does not use; `check_schema` follows that order
(common/json-schema-to-grammar.cpp, SchemaConverter::visit) and refuses what would be forgotten. `check_reply` then
holds the finished text against the whole schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from typing import TYPE_CHECKING, Any, NoReturn

from llmspell_protocol.errors import SchemaUnsupported, SchemaViolation

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

_REMARKS = frozenset(
    {"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly"}
)
"""Keywords that allow or forbid nothing."""
BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LENGTHS = frozenset({"minLength", "maxLength"})
_COUNTS = frozenset({"minItems", "maxItems"})
_OBJECT = frozenset({"properties", "required", "additionalProperties"})
_SHAPES: Mapping[str, tuple[Any, str]] = {
    **dict.fromkeys(("anyOf", "oneOf", "allOf", "prefixItems", "enum", "required"), (list, "a list")),
    **dict.fromkeys(("properties", "$defs", "definitions"), (Mapping, "an object")),
    **dict.fromkeys(_LENGTHS | _COUNTS, (int, "a whole number")),
    **dict.fromkeys(BOUNDS, (int | float, "a number")),
    "$ref": (str, "a text"),
}
"""What the values of keywords have to be."""
_FORMATS = re.compile(r"date|time|date-time|uuid[1-5]?")
_TYPES = frozenset({"string", "number", "integer", "boolean", "object", "array", "null"})
_FOREIGN_PATTERN = re.compile(r"\(\?|\\[^\W\d_]|\\\d|[*+?}][+?]")
"""Look-around and other groups, classes like \\d, backreferences, lazy and possessive repetition."""


def check_schema(schema: Mapping[str, Any], *, without: Set[str] = frozenset()) -> None:
    """Refuses a schema that the engine's grammar could not hold the model to.

    `without` names keywords that this engine lacks and llama.cpp's own converter has.

    Raises:
        SchemaUnsupported: with the keyword and its place (a JSON Pointer) in `details{keyword, at}`.
    """
    try:
        _Walk(schema, without).visit(schema, "")
    except RecursionError:
        _wrong("schema", "", "is nested too deeply to be checked")


def check_reply(text: str, schema: Mapping[str, Any], *, finish_reason: str) -> None:
    """Holds a finished reply against the whole schema.

    Raises:
        SchemaUnsupported: the schema itself is wrong, whatever the reply is; `details{keyword, at}`.
        SchemaViolation: the text is not JSON, or JSON that does not fit; `details{text, at, finish_reason}`.
    """
    # jsonschema takes 60 ms to import, and only requests with a schema need it.
    from jsonschema.exceptions import best_match
    from referencing.exceptions import Unresolvable

    validator = _validator(schema)
    details = {"text": text, "at": "", "finish_reason": finish_reason}
    try:
        failure = best_match(validator.iter_errors(json.loads(text)))
    except json.JSONDecodeError as error:
        cut = f" because the reply was cut ({finish_reason})" if finish_reason in ("length", "context_full") else ""
        raise SchemaViolation(
            f"the reply is not JSON{cut}: {error}", hint="raise max_tokens" if cut else None, details=details
        ) from error
    except Unresolvable as error:
        # The error names a reference's fragment alone, without the #.
        at = next((at for at, reference in _places("$ref", schema) if reference.endswith(error.ref)), "")
        _wrong("$ref", f"{at}/$ref", f"{error.ref!r} points at nothing")
    except RecursionError:
        for at, reference in _places("$ref", schema):
            if _comes_back(reference, schema):
                _wrong("$ref", f"{at}/$ref", f"{reference!r} leads back to itself")
        raise SchemaViolation("the reply is nested too deeply to be checked", details=details) from None
    if failure is not None:
        place = "".join(f"/{part}" for part in failure.absolute_path)
        raise SchemaViolation(
            f"the reply does not fit the schema at '{place or '/'}': {failure.message}",
            details={**details, "at": place},
        )


def _validator(schema: Mapping[str, Any]) -> Validator:
    """What holds a value against this schema, which has been held against its own; fetches no `$ref` from anywhere."""
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    if not isinstance(schema.get("$schema", ""), str):
        _wrong("$schema", "/$schema", "is not the address of a schema")
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
    except SchemaError as error:
        path = [str(part) for part in error.absolute_path]
        keyword = next((part for part in reversed(path) if part.startswith("$") or part in kind.VALIDATORS), "schema")
        _wrong(keyword, "".join(f"/{part}" for part in path), error.message)
    except OverflowError as error:
        at = next((at for at, pattern in _places("pattern", schema) if _overflows(pattern)), "")
        _wrong("pattern", f"{at}/pattern", str(error))
    except RecursionError:
        _wrong("schema", "", "is nested too deeply to be checked")
    return kind(schema, registry=REGISTRY)


def _overflows(pattern: Any) -> bool:
    try:
        re.compile(pattern)
    except OverflowError:
        return True
    except (re.error, TypeError):
        pass
    return False


def _places(keyword: str, schema: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The keyword's values in a schema, each after the place of the (sub)schema that has it."""
    if isinstance(schema, Mapping):
        if keyword in schema:
            yield at, schema[keyword]
        for name, child in schema.items():
            yield from _places(keyword, child, f"{at}/{name}")
    elif isinstance(schema, list):
        for index, child in enumerate(schema):
            yield from _places(keyword, child, f"{at}/{index}")


def _comes_back(reference: Any, root: Mapping[str, Any]) -> bool:
    """Whether following a reference leads to it again without a step into the value, which would go on for ever."""
    seen: set[str] = set()
    left = [reference]
    while left:
        for following in _same_value(_target(left.pop(), root)):
            if following == reference:
                return True
            if following not in seen:
                seen.add(following)
                left.append(following)
    return False


def _same_value(schema: Any) -> Iterator[Any]:
    """The references that a schema applies to the very value that it gets itself."""
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"]
        for keyword in ("allOf", "anyOf", "oneOf"):
            for child in schema.get(keyword, ()):
                yield from _same_value(child)
        for keyword in ("not", "if", "then", "else"):
            yield from _same_value(schema.get(keyword))


def _target(reference: Any, root: Mapping[str, Any]) -> Any:
    """What a JSON Pointer into the schema itself (#/…) points at; None for nothing and for other references."""
    target: Any = root
    for part in str(reference).removeprefix("#").split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
            target = target[int(name)]
        else:
            target = target.get(name) if isinstance(target, Mapping) else None
    return target


def _wrong(keyword: str, at: str, why: str) -> NoReturn:
    raise SchemaUnsupported(
        f"JSON Schema: '{keyword}' at '{at or '/'}' is wrong: {why}",
        hint="correct the schema",
        details={"keyword": keyword, "at": at},
    )


class _Walk:
    """One walk over a schema; a `$ref` is followed once."""

    def __init__(self, root: Mapping[str, Any], without: Set[str]) -> None:
        self._root = root
        self._without = without
        self._followed: set[str] = set()

    def visit(self, schema: Any, at: str) -> None:
        if schema is True:
            return
        if not isinstance(schema, Mapping):
            _refuse("false" if schema is False else repr(schema), at, "is not a schema that a reply can fit")
        _check_shapes(schema, at)
        known, inner = self._read(schema, at)
        for keyword in schema:
            if keyword in self._without or (keyword not in known and keyword not in _REMARKS):
                _refuse(keyword, f"{at}/{keyword}", "is a keyword that the engine's grammar would ignore here")
        for place, child in inner:
            self.visit(child, f"{at}/{place}")

    def _read(self, schema: Mapping[str, Any], at: str) -> tuple[frozenset[str], list[tuple[str, Any]]]:
        """The keywords that count in the engine's reading of this schema, and the schemas inside it."""
        if "$ref" in schema:
            self._follow(schema["$ref"], at)
            return frozenset({"$ref"}), []
        for union in ("oneOf", "anyOf"):
            if union in schema:
                return frozenset({union}), _numbered(union, schema[union])
        kind = schema.get("type")
        if isinstance(kind, list):
            # Each type gets a copy of the schema, so a keyword has to count in at least one of them.
            readings = [self._read({**schema, "type": one}, at) for one in kind]
            known = frozenset().union(*(known for known, _ in readings))
            return known, [pair for _, inner in readings for pair in inner]
        if kind is not None and not (isinstance(kind, str) and kind in _TYPES):
            _refuse("type", f"{at}/type", f"{kind!r} is not a type")
        for fixed in ("const", "enum"):
            if fixed in schema:
                return frozenset({fixed, "type"}), []
        return self._read_type(schema, kind, at)

    def _read_type(
        self, schema: Mapping[str, Any], kind: str | None, at: str
    ) -> tuple[frozenset[str], list[tuple[str, Any]]]:
        if kind in (None, "object"):
            if "properties" in schema or schema.get("additionalProperties", True) is not True:
                return _OBJECT | {"type"}, list(_object_parts(schema))
            if "allOf" in schema:
                return frozenset({"allOf", "type"}), self._joined(schema["allOf"], at)
        if kind in (None, "array") and ("items" in schema or "prefixItems" in schema):
            if "items" in schema and not isinstance(schema["items"], list):
                return _COUNTS | {"items", "type"}, [("items", schema["items"])]
            place = "items" if "items" in schema else "prefixItems"
            return frozenset({place, "type"}), _numbered(place, schema[place])
        if kind in (None, "string"):
            if "pattern" in schema:
                _check_pattern(schema["pattern"], f"{at}/pattern")
                return frozenset({"pattern", "type"}), []
            if _FORMATS.fullmatch(str(schema.get("format", ""))):
                return frozenset({"format", "type"}), []
        if kind == "string":
            return _LENGTHS | {"type"}, []
        if kind == "integer":
            return BOUNDS | {"type"}, []
        return frozenset({"type"}), []

    def _joined(self, parts: Any, at: str) -> list[tuple[str, Any]]:
        """The schemas inside an `allOf`, whose members have to be objects with properties."""
        inner: list[tuple[str, Any]] = []
        for place, part in _numbered("allOf", parts):
            target = self._resolve(part["$ref"], at) if isinstance(part, Mapping) and "$ref" in part else part
            if not isinstance(target, Mapping) or "properties" not in target:
                _refuse("allOf", f"{at}/{place}", "can only join objects with properties")
            _check_shapes(target, f"{at}/{place}")
            for keyword in target:
                if keyword not in _REMARKS | _OBJECT | {"type"}:
                    _refuse(keyword, f"{at}/{place}/{keyword}", "would be ignored inside allOf")
            inner += [(f"{place}/{name}", child) for name, child in _object_parts(target)]
        return inner

    def _follow(self, reference: Any, at: str) -> None:
        if reference in self._followed:
            return
        self._followed.add(reference)
        self.visit(self._resolve(reference, at), str(reference).removeprefix("#"))

    def _resolve(self, reference: Any, at: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            _refuse("$ref", f"{at}/$ref", f"{reference!r} does not point into the schema itself (#/…)")
        target: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                _refuse("$ref", f"{at}/$ref", f"{reference!r} points at nothing")
            target = target[name]
        return target


def _check_shapes(schema: Mapping[str, Any], at: str) -> None:
    """Refuses keywords whose value the walk could not read."""
    for keyword in schema:
        shape, called = _SHAPES.get(keyword, (object, ""))
        if not isinstance(schema[keyword], shape):
            _wrong(keyword, f"{at}/{keyword}", f"{schema[keyword]!r} is not {called}")
    for name in schema.get("required", ()):
        if not isinstance(name, str):
            _wrong("required", f"{at}/required", f"{name!r} is not a name")


def _numbered(keyword: str, schemas: Any) -> list[tuple[str, Any]]:
    return [(f"{keyword}/{index}", schema) for index, schema in enumerate(schemas)]


def _object_parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, child in schema.get("properties", {}).items():
        yield f"properties/{name}", child
    for name in schema.get("required", ()):
        if name not in schema.get("properties", {}):
            _refuse("required", "/required", f"names '{name}', which is not among the properties")
    more = schema.get("additionalProperties")
    if isinstance(more, Mapping):
        yield "additionalProperties", more


def _check_pattern(pattern: Any, at: str) -> None:
    if not isinstance(pattern, str) or not (pattern.startswith("^") and pattern.endswith("$")):
        _refuse("pattern", at, "has to begin with ^ and end with $")
    found = _FOREIGN_PATTERN.search(pattern)
    if found is not None:
        _refuse("pattern", at, f"has {found.group()!r}, which the engine's grammar does not know")


def _refuse(keyword: str, at: str, why: str) -> NoReturn:
    raise SchemaUnsupported(
        f"JSON Schema: '{keyword}' at '{at or '/'}' {why}",
        hint="leave it out of the schema and check the reply yourself",
        details={"keyword": keyword, "at": at},
    )
