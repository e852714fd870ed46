"""What classes of plain values are whose making a command would wait for: dataclasses that are quickly made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import dataclass_transform


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Struct:
    """A subclass is a dataclass with keyword arguments; it is frozen for the type checker alone.

    One that is frozen at run time, with slots, takes four times as long to make, and an area of requests has thirty.
    A field that a subclass declares again without a default has that of the base: `= field()` makes it required.
    What is equal and what is shown goes by all attributes of an object, so a `cached_property` has no place here.
    """

    def __init_subclass__(cls) -> None:
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"
