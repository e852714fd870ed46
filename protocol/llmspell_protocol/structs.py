"""What the classes of contents and of frames are: dataclasses that are quickly made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Struct:
    """The fields of a content: a subclass is a dataclass with keyword arguments, and frozen for the type checker.

    One that is frozen at run time, with slots, takes four times as long to make, and an area has thirty.
    """

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
