"""Where this process stands: a directory that may have been deleted meanwhile."""

from __future__ import annotations

import os

from llmspell_protocol.errors import ConfigError


def working_directory() -> str:
    """The working directory's path.

    Raises:
        ConfigError: it has been deleted, or a directory above it can't be read.
    """
    try:
        return os.getcwd()
    except OSError as error:
        raise ConfigError(
            f"the working directory can't be found: {error.strerror}", hint="change to a directory that exists (cd)"
        ) from error
