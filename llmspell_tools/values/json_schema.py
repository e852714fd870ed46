"""What of a value doesn't fit a JSON Schema. Nothing is fetched: a reference leads within it, or is an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

MOST_PROBLEMS = 1000
"""More are not told."""


class Problem(NamedTuple):
    """One part of a value that doesn't fit."""

    where: str
    """`items[2].name`; empty: the value itself"""
    value: Any
    rule: str
    """The schema's keyword."""
    message: str


class BadSchema(ValueError):
    """What was given is no JSON Schema, or it refers to what isn't in it."""


def problems(value: Any, schema: Mapping[str, Any] | bool) -> list[Problem]:
    """All problems of a value, those that come first in it first.

    Raises:
        BadSchema: see there.
    """
    # 60 ms, and only calls with a schema need them.
    from jsonschema import Draft202012Validator, SchemaError
    from jsonschema.exceptions import _WrappedReferencingError
    from jsonschema.validators import validator_for
    from jsonschema_specifications import REGISTRY

    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        # Its own default registry would fetch what a reference names, from files as well.
        found = kind(schema, registry=REGISTRY, format_checker=_formats()).iter_errors(value)
        listed = [
            Problem(place(error.absolute_path), error.instance, str(error.validator), error.message)
            for error, _ in zip(found, range(MOST_PROBLEMS), strict=False)
        ]
    except SchemaError as error:
        where = place(error.absolute_path)
        raise BadSchema(f"{where + ': ' if where else ''}{error.message}") from None
    except _WrappedReferencingError as error:
        raise BadSchema(f"a reference can't be followed: {error}") from None
    except RecursionError:
        raise BadSchema("it refers to itself without an end") from None
    return sorted(listed, key=lambda problem: problem.where)


def place(path: Iterable[Any]) -> str:
    """A path of keys and positions as text: `items[2].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _formats() -> Any:
    """The formats that are checked: jsonschema's own without further packages, and dates with times, URIs and UUIDs."""
    from datetime import datetime, time
    from urllib.parse import urlsplit
    from uuid import UUID

    from jsonschema import FormatChecker

    from llmspell_tools.texts.kinds import is_email

    # Not the shared one, which would be changed for all.
    checker = FormatChecker(formats=("date", "ipv4", "ipv6", "regex"))

    def checks(name: str, read: Any) -> None:
        checker.checks(name, raises=ValueError)(lambda value: not isinstance(value, str) or read(value) is not False)

    def moment(value: str) -> bool:
        return "T" in value.upper() and datetime.fromisoformat(value.upper()).tzinfo is not None

    checks("date-time", moment)
    checks("time", lambda value: time.fromisoformat(value).tzinfo is not None)
    checks("uuid", lambda value: len(value) == 36 and UUID(value) is not None)
    checks("uri", lambda value: bool(urlsplit(value).scheme))
    checks("email", lambda value: is_email(value))
    return checker
