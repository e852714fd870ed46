"""Where a command was started. Knows nothing of what is looked for there."""

from __future__ import annotations

import os

from llmspell_protocol.errors import ConfigError


def working_directory() -> str:
    """The directory that the command is in.

    Raises:
        ConfigError: it has been removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise ConfigError("the working directory is not there any more", hint="cd to a directory that is") from None
