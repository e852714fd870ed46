"""Values across the border between Lua and the rest of the world; the rules are those of JSON.

Strings are bytes on Lua's side (the runtime has no encoding) and text on ours. A table whose keys are 1..n is an
array, with holes as None; any other table is an object with text keys, the empty one too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lupa.lua54 import lua_type

MAX_DEPTH = 128
MAX_VALUES = 1_000_000
"""A table that names one subtable many times over could grow without end on its way out."""
TOO_LARGE = "a number is larger than numbers can be"

_INT64 = 1 << 63


class NotConvertible(ValueError):
    """The value has no form on the other side; the message names the reason."""


def refuse(value: Any, kind: str) -> Any:
    """What happens to functions, userdata and threads in requests: they are refused."""
    raise NotConvertible("Unsupported Lua type for JSON conversion")


def name_only(value: Any, kind: str) -> str:
    """What happens to them in a script's result: their type stands for them."""
    return f"<{kind}>"


def to_python(value: Any, opaque: Callable[[Any, str], Any] = refuse, *, exact: bool = False) -> Any:
    """A Lua value as None, bool, int, float, str, list or dict; NaN and infinities become None unless it is `exact`.

    `opaque(value, kind)` gives what stands for a function, userdata or thread.

    Raises:
        NotConvertible: a cycle or nesting deeper than `MAX_DEPTH`, text that is not UTF-8, or what `opaque` refuses.
    """
    return _Outward(opaque, exact).convert(value, 0)


class _Outward:
    def __init__(self, opaque: Callable[[Any, str], Any], exact: bool) -> None:
        self._opaque = opaque
        self._exact = exact
        self._left = MAX_VALUES

    def convert(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, bytes):
            return _text(value)
        if isinstance(value, float):
            return value if self._exact or value - value == 0 else None
        kind = lua_type(value)
        if kind != "table":
            return self._opaque(value, kind or "userdata")
        if depth >= MAX_DEPTH:
            raise NotConvertible(f"table is nested deeper than {MAX_DEPTH} or contains itself")
        return self._table(value, depth + 1)

    def _table(self, table: Any, depth: int) -> Any:
        items = list(table.items())
        self._left -= len(items)
        if self._left < 0:
            raise NotConvertible(f"table has more than {MAX_VALUES} values")
        length = len(table) if items else 0
        if length and all(type(key) is int and 1 <= key <= length for key, _ in items):
            array: list[Any] = [None] * length
            for key, value in items:
                array[key - 1] = self.convert(value, depth)
            return array
        return {_key(key): self.convert(value, depth) for key, value in items}


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise NotConvertible(f"string is not UTF-8 text (byte {error.start + 1} of {len(value)})") from None


def _key(key: Any) -> str:
    if isinstance(key, bytes):
        return _text(key)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return str(key)
    if isinstance(key, float):
        return f"{key:.14g}"
    raise NotConvertible("table has a key that is neither string nor number")


def to_lua(runtime: Any, value: Any) -> Any:
    """A JSON-like value as what `runtime` hands to Lua: None is nil, integers beyond 64 bits become floats.

    Lone surrogates become U+FFFD.

    Raises:
        NotConvertible: nesting deeper than `MAX_DEPTH`, an integer beyond the largest float, or another type.
    """
    return _inward(runtime, value, 0)


def _inward(runtime: Any, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, (bool, float, bytes)):
        return value
    if isinstance(value, str):
        return _bytes(value)
    if isinstance(value, int):
        return value if -_INT64 <= value < _INT64 else _float(value)
    if depth >= MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
        raise NotConvertible(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, Mapping):
        return runtime.table_from({_bytes(str(key)): _inward(runtime, item, depth + 1) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return runtime.table_from([_inward(runtime, item, depth + 1) for item in value])
    raise NotConvertible(f"{type(value).__name__} has no form in Lua")


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Few texts have half a character in them.
        from llmspell_protocol.plain_text import whole_text

        return whole_text(text).encode()


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise NotConvertible(TOO_LARGE) from None
