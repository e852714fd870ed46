"""From what came to a flat class (a named tuple) of the protocol: standard contents and request options.

What `validate.py` is for contents with structure, without pydantic: an execute would wait for its import and for the
building of a validator longer than for its own answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from llmspell_protocol.durations import LONGEST_S
from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.messages import METADATA_KEY
from llmspell_protocol.numbers import FINITE_NUMBER, WHOLE_NUMBER, is_number, is_whole
from llmspell_protocol.request_options import LONGEST_SESSION, NO_OPTIONS, RequestOptions

T = TypeVar("T")

_LISTED = 100
"""So many problems are told; a list of thousands of wrong items has as many."""
_NAMED = 10
"""So many unknown options are named; a suggestion for each of thousands would hold the loop."""
_LONGEST_NAME = 100


def standard_content(kind: type[T], msg_type: str, content: Mapping[str, Any]) -> T:
    """A standard request's content as its class; as Jupyter has it, unknown keys are ignored and null is absence.

    Raises:
        InvalidRequest: fields are missing or of another type; `details.problems` lists every one.
    """
    return _filled(kind, content, f"Invalid {msg_type}", "")


def request_options(given: Any) -> RequestOptions:
    """The options of a request (`metadata.llmspell`); an unknown one is refused, since it would change what is done.

    Raises:
        InvalidRequest: no map, options that there are not, or of another type; `details.problems` lists every one.
    """
    if not isinstance(given, Mapping):
        raise invalid("Invalid options", [(f"metadata.{METADATA_KEY}", "has to be a map")])
    if not given:
        return NO_OPTIONS
    unknown = [name for name in given if name not in _fields(RequestOptions)]
    if unknown:
        raise invalid(
            "Invalid options",
            [
                (f"metadata.{METADATA_KEY}.{_shown(name)}", f"is not an option{_meant(name)}")
                for name in unknown[:_NAMED]
            ],
        )
    options = _filled(RequestOptions, given, "Invalid options", f"metadata.{METADATA_KEY}.")
    if options.timeout_s is not None and not options.timeout_s > 0:
        raise invalid("Invalid options", [(f"metadata.{METADATA_KEY}.timeout_s", "has to be more than 0")])
    if (options.timeout_s or 0) > LONGEST_S:
        raise invalid("Invalid options", [(f"metadata.{METADATA_KEY}.timeout_s", f"has to be at most {LONGEST_S}")])
    session = options.session
    if session is not None and (not session.strip() or len(session) > LONGEST_SESSION):
        problem = f"has to be 1 to {LONGEST_SESSION} characters, not blanks alone"
        raise invalid("Invalid options", [(f"metadata.{METADATA_KEY}.session", problem)])
    if options.drain_s is not None and options.drain_s < 0:
        raise invalid("Invalid options", [(f"metadata.{METADATA_KEY}.drain_s", "has to be at least 0")])
    return options


class _Field(NamedTuple):
    required: bool
    fits: Callable[[Any], bool]
    expected: str


def _filled(kind: type[T], given: Mapping[str, Any], what: str, prefix: str) -> T:
    values: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, field in _fields(kind).items():
        value = given.get(name)
        if value is None:
            if field.required:
                problems.append((prefix + name, "is missing"))
        elif not field.fits(value):
            problems.append((prefix + name, f"has to be {field.expected}"))
        else:
            values[name] = value
    if problems:
        raise invalid(what, problems)
    return kind(**values)


_KNOWN: dict[type, Mapping[str, _Field]] = {}


def _fields(kind: type) -> Mapping[str, _Field]:
    known = _KNOWN.get(kind)
    if known is None:
        known = _KNOWN[kind] = dict(_described(kind))
    return known


def _described(kind: type) -> Iterator[tuple[str, _Field]]:
    defaults = getattr(kind, "_field_defaults", {})
    for name, hint in get_type_hints(kind).items():
        fits, expected = _check(hint)
        yield name, _Field(name not in defaults, fits, expected)


def _check(hint: Any) -> tuple[Callable[[Any], bool], str]:
    origin, words = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (inner,) = (word for word in words if word is not NoneType)
        return _check(inner)
    if origin is Literal:
        return words.__contains__, f"one of {', '.join(map(str, words))}"
    return _CHECKS[hint]


def _are_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value)


def _is_text_map(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, str) for entry in value.items() for one in entry)


def _are_lists_by_name(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) and _are_texts(one) for key, one in value.items())


_CHECKS: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    str: (lambda value: isinstance(value, str), "a text"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    int: (is_whole, WHOLE_NUMBER),
    float: (is_number, FINITE_NUMBER),
    Sequence[str]: (_are_texts, "a list of texts"),
    Mapping[str, Sequence[str]]: (_are_lists_by_name, "a map of lists of texts"),
    Mapping[str, str]: (_is_text_map, "a map of texts to texts"),
}


def _shown(name: Any) -> str:
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"


def _meant(name: Any) -> str:
    if not isinstance(name, str):
        return "; names are texts"
    if len(name) > _LONGEST_NAME:
        return ""
    # Only for a request that is refused anyway; the import costs milliseconds.
    from difflib import get_close_matches

    found = get_close_matches(name, list(_fields(RequestOptions)), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""


def invalid(
    what: str, problems: Sequence[tuple[str, str]], *, separator: str = " ", count: int | None = None
) -> InvalidRequest:
    """The error for `(field, what is wrong with it)`: its text and `details.problems` have them, a hundred at most.

    `count` is how many there are, where not all were looked at.
    """
    listed = problems[:_LISTED]
    count = len(problems) if count is None else count
    if count > len(listed):
        listed = [*listed, ("", f"and {count - len(listed)} more problems" if listed else f"{count} problems")]
    text = "; ".join(f"{field}{separator}{message}" if field else message for field, message in listed)
    return InvalidRequest(
        f"{what}: {text}",
        details={"problems": [{"field": field, "message": message} for field, message in listed]},
    )
