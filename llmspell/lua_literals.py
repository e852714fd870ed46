"""Values as Lua text that gives them again: what a parameter is written as in a cell. Knows no notebook."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_protocol.plain_values import MAX_DEPTH

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KEYWORDS = frozenset(
    (
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local"),
        *("nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    )
)
_MOST, _LEAST = (1 << 63) - 1, -(1 << 63)
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL = re.compile('[\\\\"\x00-\x1f\x7f\ud800-\udfff\u2028\u2029]')


def lua_literal(value: Any) -> str:
    """A Lua expression for a value of JSON or YAML, in one line.

    None is nil, but `JSON.null` in a list, where nil would be a hole; an empty list is `JSON.array {}` and stays one;
    an integer beyond 64 bits keeps its digits by `JSON.parse`. A list's items count from 1. What Lua has no form for (a
    date, say) is its text.

    Raises:
        InvalidRequest: a name of a map is nothing that can be a key of a table (null, NaN), or it is nested deeper than
            `MAX_DEPTH` levels.
    """
    return _literal(value, 0)


def lua_assignment(name: str, expression: str) -> str:
    """A line that gives a global variable this value, whatever its name is."""
    if _NAME.match(name) and name not in _KEYWORDS:
        return f"{name} = {expression}"
    return f"_ENV[{_text(name)}] = {expression}"


def _literal(value: Any, depth: int) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _fraction(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (bytes, bytearray)):
        return '"' + "".join(f"\\x{byte:02x}" for byte in value) + '"'
    if isinstance(value, (Mapping, Sequence, Set)):
        if depth >= MAX_DEPTH:
            raise InvalidRequest(f"the value is nested deeper than {MAX_DEPTH} levels")
        return _map(value, depth) if isinstance(value, Mapping) else _list(list(value), depth)
    return _text(str(value))


def _integer(value: int) -> str:
    if value == _LEAST:
        return f"(-{_MOST} - 1)"  # its digits alone are one more than an integer has
    if _LEAST < value <= _MOST:
        return str(value)
    return f"JSON.parse({_text(json.dumps(value))})"


def _fraction(value: float) -> str:
    if math.isnan(value):
        return "(0/0)"
    if math.isinf(value):
        return "(1/0)" if value > 0 else "(-1/0)"
    return repr(value)


def _text(value: str) -> str:
    return '"' + _SPECIAL.sub(_escaped, value) + '"'


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    known = _ESCAPES.get(character)
    if known is not None:
        return known
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{{{code:x}}}"


def _list(items: list[Any], depth: int) -> str:
    if not items:
        return "JSON.array {}"
    return "{" + ", ".join("JSON.null" if item is None else _literal(item, depth + 1) for item in items) + "}"


def _map(value: Mapping[Any, Any], depth: int) -> str:
    return "{" + ", ".join(f"{_key(key)} = {_literal(item, depth + 1)}" for key, item in value.items()) + "}"


def _key(key: Any) -> str:
    if isinstance(key, str) and _NAME.match(key) and key not in _KEYWORDS:
        return key
    if key is None or (isinstance(key, float) and math.isnan(key)):
        raise InvalidRequest(f"{key} can't be a key of a Lua table")
    return f"[{_literal(key, MAX_DEPTH)}]"
