"""Errors of the settings and the key store as the command line's own, for commands that read these without a kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llmspell_profiles import errors as theirs
from llmspell_protocol.errors import ERRORS


@contextmanager
def as_ours() -> Iterator[None]:
    """Raises the protocol's errors for those that the block raises about settings and keys.

    Raises:
        ConfigError, ProfileNotFound, InvalidRequest: with the text for the user.
    """
    try:
        yield
    except theirs.ConfigError as error:
        raise ERRORS[error.code](error.message, hint=error.hint, details=error.details) from None
