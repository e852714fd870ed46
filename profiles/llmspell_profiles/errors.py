"""What goes wrong while settings are read. Knows no protocol: the kernel and the CLI give these errors their codes."""


class ConfigError(Exception):
    """A configuration that can't be used.

    `message` is the whole text for the user, without the word "Error:"; it may have a second line. `hint` says what to
    do, or is None. `details` has those of `file`, `line`, `column`, `key` and `variable` that are known.
    """

    def __init__(self, message: str, hint: str | None = None, details: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details: dict[str, object] = details or {}


class ProfileNotFound(ConfigError):
    """The name after `--profile` is no builtin profile."""


class UsageConflict(ConfigError):
    """Both a profile and a configuration file were asked for."""
