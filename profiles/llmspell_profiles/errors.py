"""What is wrong or doubtful in settings. Imports no protocol: an error of a run names its code there, and the
kernel and the command line make it theirs.
"""

from typing import ClassVar, NamedTuple

KeyPath = tuple[str, ...]


class ConfigError(Exception):
    """A configuration that can't be used.

    `message` is the whole text for the user, without the word "Error:"; it may have a second line. `hint` says what to
    do, or is None. `details` has those of `file`, `line`, `column`, `key` and `variable` that are known. `place` is
    what the message begins with, up to the colon, and `path` the key in question, each empty where there is none.
    `together` has all errors that the same check found, this one among them. `code` is its name in the protocol.
    """

    code: ClassVar[str] = "config_error"

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        details: dict[str, object] | None = None,
        *,
        place: str = "",
        path: KeyPath = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, object] = details or {}
        self.place = place
        self.path = path
        self.together: tuple[ConfigError, ...] = (self,)


class ProfileNotFound(ConfigError):
    """The name after `--profile` is no builtin profile."""

    code = "profile_not_found"


class UsageConflict(ConfigError):
    """Both a profile and a configuration file were asked for."""

    code = "invalid_request"


class UnknownSection(Exception):
    """No table and no key has this name; `available` are those beside the first name that is unknown."""

    def __init__(self, section: str, available: tuple[str, ...]) -> None:
        super().__init__(section)
        self.section = section
        self.available = available

    @property
    def text(self) -> str:
        """The message for the user."""
        return f"Unknown config section '{self.section}'. Available: {', '.join(self.available) or 'none'}"


class Remark(NamedTuple):
    """Something doubtful that stops no run. `place` is a file's line and key, or a variable; empty if in the text.

    `is_mistake`: whoever checks a configuration counts it as an error.
    """

    place: str
    text: str
    details: dict[str, object]
    hint: str | None = None
    is_mistake: bool = False

    @property
    def sentence(self) -> str:
        """The whole text for the user, without the word "Warning:"."""
        about = f"{self.place}: " if self.place else ""
        return f"{about}{self.text}" + (f"; {self.hint}" if self.hint else "")
