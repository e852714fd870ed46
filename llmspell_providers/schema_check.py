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
from typing import Any, NoReturn

from llmspell_protocol.errors import SchemaUnsupported, SchemaViolation

_REMARKS = frozenset(
    {"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default", "examples"}
    | {"deprecated", "readOnly", "writeOnly"}
)
"""Keywords that allow or forbid nothing."""
BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_LENGTHS = frozenset({"minLength", "maxLength"})
_COUNTS = frozenset({"minItems", "maxItems"})
_OBJECT = frozenset({"properties", "required", "additionalProperties"})
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
    _Walk(schema, without).visit(schema, "")


def check_reply(text: str, schema: Mapping[str, Any], *, finish_reason: str) -> None:
    """Holds a finished reply against the whole schema.

    Raises:
        SchemaViolation: the text is not JSON, or JSON that does not fit; `details{text, at, finish_reason}`.
    """
    # jsonschema takes 60 ms to import, and only requests with a schema need it.
    import jsonschema

    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        cut = f" because the reply was cut ({finish_reason})" if finish_reason in ("length", "context_full") else ""
        raise SchemaViolation(
            f"the reply is not JSON{cut}: {error}",
            hint="raise max_tokens" if cut else None,
            details={"text": text, "at": "", "finish_reason": finish_reason},
        ) from error
    validator = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)(schema)
    failure = jsonschema.exceptions.best_match(validator.iter_errors(value))
    if failure is not None:
        place = "".join(f"/{part}" for part in failure.absolute_path)
        raise SchemaViolation(
            f"the reply does not fit the schema at '{place or '/'}': {failure.message}",
            details={"text": text, "at": place, "finish_reason": finish_reason},
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
        if kind is not None and kind not in _TYPES:
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
