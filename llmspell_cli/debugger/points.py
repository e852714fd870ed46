"""The breakpoints of a debugging user: what was typed, and what the kernel made of it. Knows no kernel."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from llmspell_protocol.errors import InvalidRequest, NotFound

_PLACE = re.compile(r"(?:(?P<file>.+):)?(?P<line>[1-9]\d*)\Z")
_LONG = 60


@dataclass
class Point:
    """One breakpoint. `line` is where it stops, `asked` what was typed; `kernel_id` is the kernel's number for it."""

    id: int
    path: str
    shown: str
    asked: int
    line: int
    condition: str | None = None
    hits: str | None = None
    message: str | None = None
    temporary: bool = False
    enabled: bool = True
    problem: str | None = None
    kernel_id: int | None = None

    def to_content(self) -> dict[str, object]:
        """As the Debug Adapter Protocol has it."""
        fields = {
            "line": self.line,
            "condition": self.condition,
            "hitCondition": self.hits,
            "logMessage": self.message,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def described(self) -> str:
        """One line for a list."""
        more = []
        if self.condition:
            more.append(f"if {self.condition}")
        if self.hits:
            more.append(f"hits {self.hits}")
        if self.message:
            more.append(f"log {self.message}")
        if self.temporary:
            more.append("once")
        if not self.enabled:
            more.append("disabled")
        if self.problem:
            more.append(f"({self.problem})")
        return " ".join([f"{self.shown}:{self.line}", *more])


class Places:
    """How files are named: by the user, in the kernel, and where they are shown.

    Without a script a line alone is one of the current file's.
    """

    def __init__(self, script: str | None = None, script_path: str = "") -> None:
        self._script = script
        self._script_path = script_path

    def shown(self, path: str) -> str:
        """A path as a user reads it: the script as it was typed, what is below the working directory without that."""
        if self._script is not None and path == self._script_path:
            return self._script
        below = os.path.relpath(path) if os.path.isabs(path) else path
        return path if below.startswith("..") else below

    def read(self, text: str, current: str | None = None) -> tuple[str, int]:
        """Path and line of `[FILE:]LINE`; without a file it is the current one's, or the script's.

        Raises:
            InvalidRequest: it is not a place.
        """
        found = _PLACE.match(text)
        if found is None:
            raise InvalidRequest(
                f"'{text[:_LONG]}' is not a place in a script", hint="FILE:LINE or LINE, as in main.lua:12"
            )
        file, line = found["file"], int(found["line"])
        if file is None:
            if not (current or self._script_path):
                raise InvalidRequest("which file? nothing is paused", hint="FILE:LINE, as in main.lua:12")
            return current or self._script_path, line
        if file in (self._script, self._script_path):
            return self._script_path, line
        near = os.path.join(os.path.dirname(self._script_path), file)
        path = os.path.abspath(file)
        return (near if os.path.exists(near) and not os.path.exists(path) else path), line


class Points:
    """All breakpoints, in the order in which they were made."""

    def __init__(self) -> None:
        self.all: list[Point] = []
        self._made = 0

    def add(self, path: str, shown: str, line: int, condition: str | None = None, **more: object) -> Point:
        """A new one."""
        self._made += 1
        point = Point(self._made, path, shown, line, line, condition, **more)  # type: ignore[arg-type]
        self.all.append(point)
        return point

    def numbered(self, text: str) -> Point:
        """The one with this number.

        Raises:
            NotFound: there is none.
            InvalidRequest: it is no number.
        """
        if not text.strip().isdecimal():
            raise InvalidRequest("a breakpoint's number is needed", hint="break alone lists them")
        for point in self.all:
            if point.id == int(text):
                return point
        raise NotFound(f"there is no breakpoint {text.strip()}")

    def at(self, path: str) -> list[Point]:
        """Those of a path that are enabled."""
        return [point for point in self.all if point.path == path and point.enabled]

    def hit(self, ids: object) -> Point | None:
        """The one that the kernel calls by the first of these ids."""
        first = ids[0] if isinstance(ids, list) and ids else None
        return next((point for point in self.all if point.kernel_id == first), None) if first is not None else None
