"""Whether something is a JSON Schema at all, by the schema of its own draft."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmspell_providers.schemas.document import everywhere, target
from llmspell_providers.schemas.refusals import malformed, refuse, step

if TYPE_CHECKING:
    from jsonschema import SchemaError, ValidationError
    from jsonschema.protocols import Validator


TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")
_OTHER_WORDS = {
    "str": "string",
    "text": "string",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "none": "null",
}


def demand_well_formed(schema: Any, at: str) -> None:
    """Holds a schema against the one of its draft (`$schema`; 2020-12 where it names none), and follows its references.

    Raises:
        InvalidRequest: it is no schema, or a pattern in it is no regular expression.
        SchemaUnsupported: a reference points out of it, at nothing, or back at itself.
    """
    from jsonschema import SchemaError

    if not isinstance(schema, Mapping):
        malformed("schema", at, f"{schema!r:.80} is not an object")
    if not isinstance(schema.get("$schema", ""), str):
        malformed("$schema", step(at, "$schema"), "it is not the address of a schema")
    kind = draft(schema)
    try:
        with _quiet():
            kind.check_schema(schema)
    except SchemaError as error:
        path = [str(part) for part in error.absolute_path]
        keyword = next((part for part in reversed(path) if part.startswith("$") or part in kind.VALIDATORS), "schema")
        if keyword == "type" and isinstance(error.instance, str):
            malformed(keyword, step(at, *path), f"'{error.instance:.40}' is not a type", hint=_types(error.instance))
        malformed(keyword, step(at, *path), _problem(error))
    except (OverflowError, RecursionError) as error:
        # A count of 20 digits, or groups in groups: Python's regular expressions end there.
        place = next((place for place, one in everywhere(schema, at) if _ends_compiler(one.get("pattern"))), None)
        if place is None:
            refuse("schema", at, "is nested too deeply to be checked")
        malformed("pattern", step(place, "pattern"), str(error))
    for place, one in everywhere(schema, at):
        if "$id" in one and one is not schema:
            refuse("$id", step(place, "$id"), "makes a part of the schema another document")
        if "$ref" in one:
            target(one["$ref"], schema, place)


def draft(schema: Mapping[str, Any]) -> type[Validator]:
    """What validates values by the draft that a schema names."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    kind: type[Validator] = validator_for(schema, default=Draft202012Validator)
    return kind


def failure_text(failure: ValidationError) -> str:
    """What is wrong with a value, with values as JSON has them: `null`, `true`, `"text"`, not as Python does."""
    import json

    text = failure.message
    for value in (failure.instance, failure.validator_value):
        try:
            text = text.replace(repr(value), json.dumps(value, ensure_ascii=False), 1)
        except (TypeError, ValueError):
            continue  # No JSON: the message stands as it is.
    return f"{text:.200}"


def _types(written: str) -> str:
    """The types that there are, the nearest to a wrong one first."""
    from difflib import get_close_matches

    near = get_close_matches(written.lower(), (*TYPES, *_OTHER_WORDS), 1)
    meant = f"did you mean '{_OTHER_WORDS.get(near[0], near[0])}'? " if near else ""
    return f"{meant}types are {', '.join(TYPES)}"


def _problem(error: SchemaError) -> str:
    """What the draft's schema says against a value; of a pattern, what Python, which has to check replies, does."""
    if (error.validator, error.validator_value) != ("format", "regex"):
        return failure_text(error)
    import re

    try:
        with _quiet():
            re.compile(str(error.instance))
    except re.error as problem:
        return f"'{error.instance!s:.100}' is not a regular expression that can be checked ({problem})"
    return failure_text(error)


@contextmanager
def _quiet() -> Iterator[None]:
    # Python warns of brackets in a class, which ECMAScript has no other meaning for.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _ends_compiler(pattern: Any) -> bool:
    import re

    if not isinstance(pattern, str):
        return False
    try:
        with _quiet():
            re.compile(pattern)
    except (OverflowError, RecursionError):
        return True
    except re.error:
        return False
    return False
