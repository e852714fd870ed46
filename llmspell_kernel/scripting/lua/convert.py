"""Values across the border between Lua and the rest of the world; the rules are those of JSON.

Strings are bytes on Lua's side (the runtime has no encoding) and text on ours. A table whose keys are 1..n is an
array, with holes as None; any other table is an object with text keys, a plain empty one too. What JSON has and such
a table can't say has a form of its own (`shapes.lua`): null, arrays that came as arrays, integers beyond 64 bits.
"""

from __future__ import annotations

import os
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


class Border:
    """The border of one runtime; `null`, `array`, `integer` and `shape` are Lua's (`shapes.lua`)."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        with open(f"{os.path.dirname(__file__)}/shapes.lua", "rb") as file:
            # Under the name of our chunks, which tracebacks and debuggers leave out.
            shapes = runtime.globals()[b"load"](file.read(), b"=[llmspell]", b"t")
        self.null, self.array, self.integer, self.shape = shapes()

    def to_python(self, value: Any, opaque: Callable[[Any, str], Any] = refuse, *, exact: bool = False) -> Any:
        """A Lua value as None, bool, int, float, str, list or dict; NaN and infinities are None unless it is `exact`.

        `opaque(value, kind)` gives what stands for a function, userdata or thread.

        Raises:
            NotConvertible: a cycle, nesting deeper than `MAX_DEPTH`, bytes that are no text, or what `opaque` refuses.
        """
        return Outward(self.shape, opaque, exact).convert(value, 0)

    def to_lua(self, value: Any, *, nulls: bool = False) -> Any:
        """A JSON-like value as what the runtime hands to Lua; lone surrogates become U+FFFD.

        None is `null` in a list, where nil would be a hole, and with `nulls` everywhere; else it is nil.

        Raises:
            NotConvertible: nesting deeper than `MAX_DEPTH`, an integer of thousands of digits, or another type.
        """
        return self._inward(value, 0, nulls)

    def _inward(self, value: Any, depth: int, nulls: bool) -> Any:
        if value is None:
            return self.null if nulls else None
        if isinstance(value, (bool, float, bytes)):
            return value
        if isinstance(value, str):
            return _bytes(value)
        if isinstance(value, int):
            return value if -_INT64 <= value < _INT64 else self.integer(_digits(value))
        if depth >= MAX_DEPTH and isinstance(value, (Mapping, list, tuple)):
            raise NotConvertible(f"nested deeper than {MAX_DEPTH}")
        if isinstance(value, Mapping):
            table = {_bytes(str(key)): self._inward(item, depth + 1, nulls) for key, item in value.items()}
            return self._runtime.table_from(table)
        if isinstance(value, (list, tuple)):
            items = [self.null if item is None else self._inward(item, depth + 1, nulls) for item in value]
            return self.array(self._runtime.table_from(items))
        raise NotConvertible(f"{type(value).__name__} has no form in Lua")


class Outward:
    """One conversion of a Lua value; `table` says what becomes of a table."""

    PLAIN: object = object()
    """No value: the table is none that has a form of its own."""

    def __init__(self, shape: Any, opaque: Callable[[Any, str], Any], exact: bool) -> None:
        self._shape = shape
        self._opaque = opaque
        self._exact = exact
        self._left = MAX_VALUES

    def convert(self, value: Any, depth: int) -> Any:
        """A value inside of `depth` tables."""
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
        return self.table(value, depth + 1)

    def table(self, table: Any, depth: int) -> Any:
        """A table, whose items are inside of `depth` tables."""
        items = list(table.items())
        self.count(len(items))
        length = len(table) if items else 0
        if length and are_indices(items, length):
            return self.array(items, length, depth)
        # Most tables are told by their keys; only of others Lua is asked.
        value = self.shaped(table, items, depth)
        return {_key(key): self.convert(item, depth) for key, item in items} if value is self.PLAIN else value

    def shaped(self, table: Any, items: list[tuple[Any, Any]], depth: int) -> Any:
        """What a table with a form of its own (`shapes.lua`) is: None, an integer or a list; `PLAIN`: it has none."""
        shape, digits = _pair(self._shape(table))
        if shape == b"null":
            return None
        if shape == b"integer":
            return _integer(digits)
        if shape == b"array":
            longest = max((key for key, _ in items if type(key) is int), default=0)
            if are_indices(items, longest):
                self.count(longest - len(items))
                return self.array(items, longest, depth)
        return self.PLAIN

    def array(self, items: list[tuple[Any, Any]], length: int, depth: int) -> list[Any]:
        """A list of items with the indices 1 to `length`; those that are lacking are None."""
        array: list[Any] = [None] * length
        for key, value in items:
            array[key - 1] = self.convert(value, depth)
        return array

    def count(self, values: int) -> None:
        """Counts values; raises `NotConvertible` where they are too many."""
        self._left -= values
        if self._left < 0:
            raise NotConvertible(f"table has more than {MAX_VALUES} values")


def are_indices(items: list[tuple[Any, Any]], length: int) -> bool:
    """Whether the keys are integers from 1 to `length`, with holes or without."""
    return all(type(key) is int and 1 <= key <= length for key, _ in items)


def _pair(answer: Any) -> tuple[Any, Any]:
    return answer if isinstance(answer, tuple) else (answer, None)


def _integer(digits: bytes) -> int:
    try:
        return int(digits)
    except ValueError:
        raise NotConvertible(f"'{digits.decode('utf-8', 'replace')[:40]}' is not an integer") from None


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


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Few texts have half a character in them.
        from llmspell_protocol.plain_text import whole_text

        return whole_text(text).encode()


def _digits(value: int) -> bytes:
    try:
        return str(value).encode()
    except ValueError:
        raise NotConvertible(TOO_LARGE) from None
