"""From the protocol's classes to what a message or a frame carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType
from typing import Any

_PLAIN = frozenset({NoneType, bool, int, float, str, bytes})
_NAMES: dict[type, tuple[str, ...] | None] = {}
"""The fields of each class that was seen; None for one that is no dataclass."""


def to_content(value: Any) -> Any:
    """A value of the protocol's dataclasses as plain maps and lists, for a message or a frame."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind not in _NAMES:
        _NAMES[kind] = tuple(item.name for item in fields(value)) if is_dataclass(kind) else None
    names = _NAMES[kind]
    if names is not None:
        return {name: to_content(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: to_content(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_content(item) for item in value]
    return value
