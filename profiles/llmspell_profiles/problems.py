"""What is wrong or doubtful in settings, and where: an error that ends a run, a remark that doesn't."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from llmspell_protocol.errors import ConfigError, NotFound

KeyPath = tuple[str, ...]
"""A key or table by the names on the way to it: `("kernel", "port")`."""


class SettingError(ConfigError):
    """The protocol's `ConfigError`, raised where configuration is read; it also knows the place, for the check of all.

    `message` is the whole text for the user, without the word "Error:"; it may have a second line. `details` has those
    of `file`, `line`, `column`, `key` and `variable` that are known. `place` is what the message begins with, up to the
    colon, and `path` the key in question, each empty where there is none. `together` has all errors that the same check
    found, this one among them.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: Mapping[str, object] | None = None,
        place: str = "",
        path: KeyPath = (),
    ) -> None:
        super().__init__(message, hint=hint, details=details)
        self.place = place
        self.path = path
        self.together: tuple[SettingError, ...] = (self,)


class Remark(NamedTuple):
    """Something doubtful that stops no run. `place` is a file's line and key, or a variable; empty if in the text."""

    place: str
    text: str
    details: dict[str, object]
    hint: str | None = None

    @property
    def sentence(self) -> str:
        """The whole text for the user, without the word "Warning:"."""
        about = f"{self.place}: " if self.place else ""
        return f"{about}{self.text}" + (f"; {self.hint}" if self.hint else "")


def unknown_section(section: str, available: Sequence[str]) -> NotFound:
    """The error for a dotted name of no table and no key; `available` are those beside its first unknown part."""
    return NotFound(
        f"Unknown config section '{section}'. Available: {', '.join(available) or 'none'}",
        details={"section": section, "available": list(available)},
    )
