"""A tool's parameters as people read them: a list with names and types, from the JSON Schema of the call's object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

ANY = "any"
"""The type of a parameter that may be of several types."""


class Parameter(NamedTuple):
    """One parameter. `type` is string, number, boolean, array, object, null or any; `default` None: it has none."""

    name: str
    type: str
    description: str
    required: bool
    default: Any
    choices: Sequence[Any]
    """The values that it may have; empty: not only certain ones."""
    also: Sequence[str]
    """Its other names."""

    def as_content(self) -> dict[str, Any]:
        """`{name, type, description, required}`, and `default`, `enum` and `also` where there are any."""
        content: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "required": self.required,
        }
        more = {"default": self.default, "enum": list(self.choices) or None, "also": list(self.also) or None}
        return content | {key: value for key, value in more.items() if value is not None}


def parameters_of(schema: Mapping[str, Any]) -> list[Parameter]:
    """The parameters, those that are required first, else in the schema's order."""
    required = schema.get("required") or ()
    definitions = schema.get("$defs") or {}
    found = [
        _parameter(name, _resolved(part, definitions), name in required, definitions)
        for name, part in (schema.get("properties") or {}).items()
    ]
    return sorted(found, key=lambda one: not one.required)


_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


def problems_of(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """`(parameter, what is wrong)` of a call whose function checks nothing: what is missing, and what has another type.

    A look at the parameters themselves, not at what is in them.
    """
    problems = []
    for one in parameters_of(schema):
        value = arguments.get(one.name)
        if value is None:
            if one.required:
                problems.append((one.name, f"Missing required parameter '{one.name}'"))
        elif one.type in _KINDS and not _is(value, one.type):
            problems.append((one.name, f"Parameter '{one.name}': has to be of type {one.type}"))
        elif one.choices and value not in one.choices:
            problems.append((one.name, f"Parameter '{one.name}': has to be one of {', '.join(map(str, one.choices))}"))
    return problems


def _is(value: Any, kind: str) -> bool:
    # An empty table of Lua's is a list as well as a map.
    if kind in ("array", "object") and value in ([], (), {}):
        return True
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _parameter(name: str, schema: Mapping[str, Any], required: bool, definitions: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        type=_type(schema, definitions),
        description=str(schema.get("description") or ""),
        required=required,
        default=schema.get("default"),
        choices=tuple(schema.get("enum") or ()),
        also=tuple(schema.get("x-also") or ()),
    )


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema itself, with what its `$ref` names; `true` and its like say nothing."""
    if not isinstance(schema, Mapping):
        return {}
    named = definitions.get(str(schema.get("$ref", "")).rpartition("/")[2])
    return {**named, **schema} if isinstance(named, Mapping) else schema


def _type(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    kinds = {kind for kind in _types(schema, definitions, 0) if kind != "null"}
    return kinds.pop() if len(kinds) == 1 else ANY


def _types(schema: Mapping[str, Any], definitions: Mapping[str, Any], depth: int) -> Iterator[str]:
    alternatives = schema.get("anyOf") or schema.get("oneOf")
    if alternatives:
        # A schema of others may name itself.
        for one in alternatives if depth < _DEPTH else ():
            yield from _types(_resolved(one, definitions), definitions, depth + 1)
        return
    named = schema.get("type")
    if named is None and schema.get("enum"):
        named = ["string" if isinstance(one, str) else ANY for one in schema["enum"]]
    for kind in [named] if isinstance(named, str) else named or [ANY]:
        yield "number" if kind == "integer" else str(kind)


_DEPTH = 8
