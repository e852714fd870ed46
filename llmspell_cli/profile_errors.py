"""Errors of the settings and the key store as the command line's own, for commands that read these without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llmspell_profiles import errors as theirs
from llmspell_protocol.errors import ConfigError, InvalidRequest, LlmspellError, ProfileNotFound


@contextmanager
def as_ours() -> Iterator[None]:
    """Raises the protocol's errors for those that the block raises about settings and keys.

    Raises:
        ConfigError, ProfileNotFound, InvalidRequest: with the text for the user.
    """
    try:
        yield
    except theirs.ConfigError as error:
        raise translated(error) from None


def translated(error: theirs.ConfigError) -> LlmspellError:
    """The protocol's error for one of the settings'."""
    kind: type[LlmspellError] = ConfigError
    if isinstance(error, theirs.ProfileNotFound):
        kind = ProfileNotFound
    elif isinstance(error, theirs.UsageConflict):
        kind = InvalidRequest
    return kind(error.message, hint=error.hint, details=error.details)
