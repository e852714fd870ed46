"""Directories that only their owner may look into."""

from __future__ import annotations

from pathlib import Path

from llmspell_protocol.errors import ConfigError


def private_directory(path: Path, what: str = "LLMSPELL_HOME") -> Path:
    """The directory, made with mode 0700 where it is missing, and those above it likewise; `what` decides where it is.

    Raises:
        ConfigError: it can't be made or used; the hint names `what`. Without a setting of their own, all are below
            LLMSPELL_HOME.
    """
    try:
        if not path.is_dir():
            # `parents=True` would give those above everyone's mode, and the home may hold a configuration with keys.
            private_directory(path.parent, what)
            path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise ConfigError(
            f"cannot use the directory {path}: {why}",
            hint=f"set {what} to a directory that you may write to",
            details={"path": str(path)},
        ) from None
    return path
