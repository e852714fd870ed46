"""Records of frames: objects that go into a frame as maps and come out of one as themselves."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Self, Union

from llmspell_protocol.structs import Struct

_KINDS: dict[type, dict[str, tuple[type[Record] | None, bool]]] = {}
"""Of each class that was read, its fields: the record that a field is, or has several of."""


class Record(Struct):
    """A record: its fields are plain values, records, and sequences of records."""

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """The record that `to_content` made a map of; keys that it doesn't have are ignored.

        Raises:
            TypeError: a field without a default is missing.
        """
        found: dict[str, Any] = {}
        for name, (kind, several) in _fields_of(cls).items():
            if name not in content:
                continue
            value = content[name]
            if kind is not None and value is not None:
                value = tuple(map(kind.from_content, value)) if several else kind.from_content(value)
            found[name] = value
        return cls(**found)


def _fields_of(cls: type[Record]) -> dict[str, tuple[type[Record] | None, bool]]:
    known = _KINDS.get(cls)
    if known is None:
        hints = typing.get_type_hints(cls)
        known = _KINDS[cls] = {field.name: _kind(hints[field.name]) for field in fields(cls)}
    return known


def _kind(hint: Any) -> tuple[type[Record] | None, bool]:
    if isinstance(hint, type) and issubclass(hint, Record):
        return hint, False
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = (_kind(one) for one in typing.get_args(hint))
        return next((one for one in kinds if one[0] is not None), (None, False))
    if origin is Sequence:
        return _kind(typing.get_args(hint)[0])[0], True
    return None, False
