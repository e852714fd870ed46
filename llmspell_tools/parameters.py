"""A tool's parameters: a pydantic model whose fields have further names, and what is wrong with a call in words."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from llmspell_protocol.errors import InvalidRequest

ALSO = "x-also"
"""In a parameter's schema: its other names."""


class ToolParameters(BaseModel):
    """What every tool's parameters are: keys that a tool doesn't have are ignored, and numbers pass for text."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True, protected_namespaces=())

    @classmethod
    def prepared(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The arguments before they are checked: where a tool reads forms that its fields can't express."""
        return given


@contextmanager
def any_name() -> Iterator[None]:
    """Where a class is made that has a parameter of a name that pydantic's models have too, such as `schema`."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message='Field name ".*" in ".*" shadows an attribute', category=UserWarning)
        yield


def parameter(description: str, default: Any = ..., *, also: Sequence[str] = (), **rules: Any) -> Any:
    """A field of a tool's parameters; `also` are names that mean the same, `rules` pydantic's (`ge`, `max_length`)."""
    if also:
        rules["json_schema_extra"] = {ALSO: list(also)}
    return Field(default, description=description, **rules)


P = TypeVar("P", bound=ToolParameters)


def parameters_of(kind: type[P], given: Mapping[str, Any]) -> P:
    """The arguments of a call as the tool's parameters.

    `{parameters = {…}}` alone means what is in it, as scripts of the field have it.

    Raises:
        InvalidRequest: arguments are missing or wrong; `details.problems` lists every one.
    """
    arguments = dict(given)
    inner = arguments.get("parameters")
    if isinstance(inner, Mapping) and len(arguments) == 1 and "parameters" not in kind.model_fields:
        arguments = dict(inner)
    arguments = {
        name: value for name, value in kind.prepared(_with_own_names(kind, arguments)).items() if value is not None
    }
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        problems = [_problem(kind, one) for one in error.errors(include_url=False, include_context=True)[:100]]
        raise InvalidRequest(
            "; ".join(message for _, message in problems),
            details={"problems": [{"field": name, "message": message} for name, message in problems]},
        ) from None


def _with_own_names(kind: type[ToolParameters], arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments under the fields' own names, which win over the others."""
    for name in kind.model_fields:
        if arguments.get(name) is not None:
            continue
        for other in _aliases(kind, name):
            if arguments.get(other) is not None and other not in kind.model_fields:
                arguments[name] = arguments.pop(other)
                break
    return arguments


def missing(name: str, *others: str) -> InvalidRequest:
    """The error for a parameter that this operation needs; `others` are names that mean the same."""
    message = f"Missing required parameter '{name}'{f' (or {_listed(others)})' if others else ''}"
    return InvalidRequest(message, details={"problems": [{"field": name, "message": message}]})


def parameters_schema(kind: type[ToolParameters]) -> dict[str, Any]:
    """The JSON Schema of a tool's parameters, without the titles that pydantic adds."""
    schema: dict[str, Any] = _plain(kind.model_json_schema(by_alias=False))
    return schema


def _plain(value: Any) -> Any:
    """Without titles, and without null: what is null was left out (`parameters_of`)."""
    if isinstance(value, dict):
        kinds = [kind for kind in value.get("anyOf", ()) if kind != {"type": "null"}]
        if len(kinds) == 1 and isinstance(kinds[0], dict):
            rest = {name: item for name, item in value.items() if name != "anyOf" and (name, item) != ("default", None)}
            return _plain({**kinds[0], **rest})
        is_schema = "type" in value or "anyOf" in value or "properties" in value or "$ref" in value
        return {
            name: _plain(item)
            for name, item in value.items()
            if not (is_schema and name == "title" and isinstance(item, str))
        }
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _problem(kind: type[ToolParameters], error: ErrorDetails) -> tuple[str, str]:
    """Which field has the problem, and what it is."""
    where = [str(part) for part in error["loc"]]
    name = where[0] if where else ""
    place = ".".join(where)
    if error["type"] == "missing" and len(where) == 1:
        return place, missing(name, *_aliases(kind, name)).message
    if error["type"] == "literal_error":
        expected = error.get("ctx", {}).get("expected", "")
        said = "Unknown operation" if name == "operation" else f"Unknown {name}"
        return place, f"{said}: {error['input']}; there are {expected}"
    if not place:
        return "", error["msg"].removeprefix("Value error, ")
    return place, f"Parameter '{place}': {error['msg'].removeprefix('Value error, ')}"


def _aliases(kind: type[ToolParameters], field: str) -> Sequence[str]:
    info = kind.model_fields.get(field)
    extra = info.json_schema_extra if info is not None else None
    return list(extra.get(ALSO, ())) if isinstance(extra, dict) else ()  # type: ignore[arg-type]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
