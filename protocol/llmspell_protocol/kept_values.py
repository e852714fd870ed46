"""Values that are kept exactly: in a form that JSON and msgpack both carry, and that no value can be mistaken for.

Null, booleans, texts, finite numbers, lists, and maps with texts for names stand for themselves. What JSON lacks is a
map with the name `$type`:

    {"$type": "table", "#1": …, "=name": …}   keys that are not all texts: `#` integers, `~` fractions, `=` texts,
                                              `?` true and false, `*` bytes in base64
    {"$type": "bytes", "base64": …}           what is no UTF-8
    {"$type": "float", "value": "nan"}        also `inf` and `-inf`
    {"$type": "integer", "digits": …}         beyond 64 bits
    {"$type": "null"}                         where null by itself would be absence: as a whole value

A map that has the name `$type` itself is a `table` with `=$type`. A form is nested as deep as its value.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Mapping
from typing import Any

from llmspell_protocol.numbers import INT64_HIGH, INT64_LOW, is_number, is_whole
from llmspell_protocol.plain_text import whole_text
from llmspell_protocol.plain_values import MAX_DEPTH

MARK = "$type"
NULL: Mapping[str, Any] = {MARK: "null"}
_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def kept(value: Any) -> Any:
    """The form of a value of Python's: of None, bool, int, float, str, bytes, lists, and mappings with texts for names.

    Raises:
        ValueError: it is nested deeper than `MAX_DEPTH`, or has something of another type.
    """
    return dict(NULL) if value is None else _kept(value, 0)


def _kept(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, bytes):
        return kept_bytes(value)
    if isinstance(value, (int, float)):
        return kept_number(value)
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, (list, tuple)):
        return [_kept(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        items = {whole_text(name): _kept(item, depth + 1) for name, item in value.items()}
        return kept_table({f"={name}": item for name, item in items.items()}) if MARK in items else items
    raise ValueError(f"{type(value).__name__} can't be kept")


def kept_number(value: int | float) -> Any:
    """The form of a number."""
    if is_number(value):
        return value
    if isinstance(value, int):
        return {MARK: "integer", "digits": str(value)}
    return {MARK: "float", "value": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}


def kept_bytes(value: bytes) -> Any:
    """The form of bytes that are no text."""
    return {MARK: "bytes", "base64": base64.b64encode(value).decode()}


def kept_table(items: Mapping[str, Any]) -> Any:
    """The form of a table by its items' forms; the names are those of `key_name`."""
    return {MARK: "table", **items}


def key_name(key: str | bytes | float) -> str:
    """The name of a table's key in its form."""
    if isinstance(key, str):
        return f"={key}"
    if isinstance(key, bytes):
        return f"*{base64.b64encode(key).decode()}"
    if isinstance(key, bool):
        return "?true" if key else "?false"
    return f"#{key}" if isinstance(key, int) else f"~{key!r}"


def key_of(name: str) -> str | bytes | float:
    """The key that a name in a table's form stands for.

    Raises:
        ValueError: it stands for none.
    """
    kind, rest = name[:1], name[1:]
    key: str | bytes | float
    if kind == "=":
        return rest
    if kind == "*":
        key = base64.b64decode(rest, validate=True)
    elif kind == "?" and rest in ("true", "false"):
        return rest == "true"
    elif kind == "#":
        key = int(rest)
    elif kind == "~":
        key = float(rest)
    else:
        raise ValueError("names of a table begin with = # ~ ? or *")
    # One key has one name, so that none comes twice.
    is_one = is_whole(key) if kind == "#" else isinstance(key, bytes) or (key == key and not _is_integral(key))
    if not is_one or key_name(key) != name:
        raise ValueError("it stands for no key")
    return key


def _is_integral(key: object) -> bool:
    return isinstance(key, float) and key.is_integer() and INT64_LOW <= key <= INT64_HIGH


def special_of(form: Mapping[str, Any]) -> Any:
    """What a form with `$type` stands for; not for tables.

    Raises:
        ValueError: nothing.
    """
    kind = form[MARK]
    if kind == "null" and len(form) == 1:
        return None
    if len(form) == 2:
        if kind == "bytes" and isinstance(text := form.get("base64"), str):
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error:
                raise ValueError("is no base64") from None
        if kind == "float" and isinstance(word := form.get("value"), str) and word in _WORDS:
            return _WORDS[word]
        if kind == "integer" and isinstance(digits := form.get("digits"), str):
            number = int(digits)
            if not INT64_LOW <= number <= INT64_HIGH and str(number) == digits:
                return number
    raise ValueError("is no form of a value")


def problems_of_form(form: Any, place: str) -> Iterator[tuple[str, str]]:
    """`(place, what is wrong there)` for what looks like a form and is none; of values that `plain_values` has let
    through."""
    if isinstance(form, (list, tuple)):
        for at, item in enumerate(form):
            yield from problems_of_form(item, f"{place}.{at}")
    elif isinstance(form, Mapping):
        kind = form.get(MARK)
        if MARK in form and kind != "table":
            try:
                special_of(form)
            except ValueError as problem:
                yield place, f"{problem} ({MARK}: {str(kind)[:40]})"
            return
        for name, item in form.items():
            if name == MARK:
                continue
            if kind is not None:
                try:
                    key_of(name)
                except ValueError as problem:
                    yield f"{place}.{name[:80]}", str(problem)
            yield from problems_of_form(item, f"{place}.{name[:80]}")


def shown(form: Any) -> Any:
    """A form as JSON for people: tables of all kinds are objects in the order of their keys, which are texts; bytes and
    what is no number stay forms."""
    if isinstance(form, (list, tuple)):
        return [shown(item) for item in form]
    if not isinstance(form, Mapping):
        return form
    kind = form.get(MARK)
    if kind == "table":
        keys = sorted((key_of(name), name) for name in form if name != MARK and name[0] in "#~")
        ordered = [(_shown_number(key), name) for key, name in keys]
        taken = {text for text, _ in ordered}
        for name in sorted(form):
            if name != MARK and name[0] not in "#~":
                text = name[1:] if name[0] in "=?" else name
                ordered.append((f'"{text}"' if text in taken else text, name))
                taken.add(text)
        return {text: shown(form[name]) for text, name in ordered}
    if kind in ("null", "integer"):
        return special_of(form)
    if kind is not None:
        return dict(form)
    return {name: shown(form[name]) for name in sorted(form)}


def _shown_number(key: object) -> str:
    return str(key)
