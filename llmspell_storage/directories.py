"""Directories that only their owner may look into."""

from __future__ import annotations

from pathlib import Path

from llmspell_protocol.errors import ConfigError


def private_directory(path: Path) -> Path:
    """The directory, made with mode 0700 where it is missing, and those above it likewise.

    Raises:
        ConfigError: it can't be made or used; the hint names LLMSPELL_HOME, below which all of ours are.
    """
    try:
        if not path.is_dir():
            # `parents=True` would give those above everyone's mode, and the home may hold a configuration with keys.
            private_directory(path.parent)
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigError(
            f"cannot use the directory {path}: {why}",
            hint="set LLMSPELL_HOME to a directory that you may write to",
            details={"path": str(path)},
        ) from None
    return path
