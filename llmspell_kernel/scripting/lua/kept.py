"""Contents of `state_request`: Lua values as exact forms (`llmspell_protocol.kept_values`), and forms as Lua values.

Imported by the first request of this kind: few scripts keep anything. Elsewhere the rules of `convert.py` hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmspell_kernel.scripting.lua.convert import MAX_DEPTH, Border, NotConvertible, Outward, are_indices, refuse
from llmspell_protocol.kept_values import MARK, NULL, kept_bytes, kept_number, kept_table, key_name, key_of, special_of

_INT64 = 1 << 63


class KeptBorder:
    """The border of one runtime for what is kept exactly."""

    def __init__(self, border: Border, runtime: Any) -> None:
        self._border = border
        self._runtime = runtime

    def content(self, table: Any) -> dict[str, Any]:
        """A request: `value` is a value, `values` a table of them by key; everything else as in other requests.

        Raises:
            NotConvertible: as `Border.to_python`, but for bytes, which are kept.
        """
        content: dict[str, Any] = {}
        # One for all: what they hold together has a limit.
        outward = _Exact(self._border.shape, refuse, exact=True)
        for name, item in table.items():
            if name == b"value":
                content["value"] = _form(outward, item)
            elif name == b"values":
                entries = content["entries"] = []
                for key, one in item.items():
                    outward.count(2)
                    entries.append({"key": self._border.to_python(key), "value": _form(outward, one)})
            else:
                content[name.decode()] = self._border.to_python(item, exact=True)
        return content

    def reply(self, content: Mapping[str, Any]) -> Any:
        """A reply as a table: `entry` and those of `entries` have values."""
        plain = {name: item for name, item in content.items() if name not in ("entry", "entries")}
        table = self._border.to_lua(plain)
        if content.get("entry") is not None:
            table[b"entry"] = self._entry(content["entry"])
        if "entries" in content:
            table[b"entries"] = self._runtime.table_from([self._entry(one) for one in content["entries"]])
        return table

    def _entry(self, entry: Mapping[str, Any]) -> Any:
        table = self._border.to_lua({name: item for name, item in entry.items() if name != "value"})
        table[b"value"] = self._value(entry["value"], 0)
        return table

    def _value(self, form: Any, depth: int) -> Any:
        """The value that a form stands for; the kernel has checked it."""
        if form is None:
            return self._border.null
        if not isinstance(form, (Mapping, list)):
            return self._border.to_lua(form)
        if depth >= MAX_DEPTH:
            raise NotConvertible(f"nested deeper than {MAX_DEPTH}")
        if isinstance(form, list):
            return self._border.array(self._runtime.table_from([self._value(item, depth + 1) for item in form]))
        if MARK not in form:
            items = {name.encode(): self._value(item, depth + 1) for name, item in form.items()}
            return self._runtime.table_from(items)
        if form[MARK] != "table":
            value = special_of(form)
            return self._border.null if value is None else self._border.to_lua(value)
        table = self._runtime.table()
        for name, item in form.items():
            if name != MARK:
                key = key_of(name)
                # Not by way of a dict, in which true and 1 are one key.
                table[key.encode() if isinstance(key, str) else key] = self._value(item, depth + 1)
        return table


class _Exact(Outward):
    def convert(self, value: Any, depth: int) -> Any:
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                return kept_bytes(value)
        if isinstance(value, float):
            return kept_number(value)
        return super().convert(value, depth)

    def table(self, table: Any, depth: int) -> Any:
        """A sequence is a list, a table with texts for keys a map; a sequence with holes is neither."""
        items = list(table.items())
        if not items or not are_indices(items, len(items)):
            form = self.shaped(table, items, depth)
            if form is not self.PLAIN:
                return kept_number(form) if isinstance(form, int) else form
            return self._map(items, depth)
        self.count(len(items))
        return self.array(items, len(items), depth)

    def _map(self, items: list[tuple[Any, Any]], depth: int) -> Any:
        self.count(len(items))
        form: dict[str, Any] = {}
        named: dict[str, Any] = {}
        for key, item in items:
            name, value = _key(key), self.convert(item, depth)
            named[key_name(name)] = value
            if isinstance(name, str) and name != MARK:
                form[name] = value
        return form if len(form) == len(items) else kept_table(named)


def _form(outward: _Exact, value: Any) -> Any:
    form = outward.convert(value, 0)
    return dict(NULL) if form is None else form


def _key(key: Any) -> str | bytes | float:
    if isinstance(key, bytes):
        try:
            return key.decode()
        except UnicodeDecodeError:
            return key
    if isinstance(key, (bool, int, float)):
        return key
    raise NotConvertible("table has a key that is neither string nor number")
