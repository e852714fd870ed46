"""From the protocol's classes to what a message or a frame carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_content(value: Any) -> Any:
    """A value of the protocol's dataclasses as plain maps and lists, for a message or a frame."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_content(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_content(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_content(item) for item in value]
    return value
