"""Which directories of models there are, and the names that they have. Reads no manifest.

What is no directory is none of a model's, but a link that leads nowhere, or a directory that can't be read, is told: a
disk with models on it may be away.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from llmspell_protocol.errors import ConfigError
from llmspell_providers.library.names import NO_VARIANT, as_text, unsegment
from llmspell_providers.library.regular_file import reason_of


class ModelPlace(NamedTuple):
    """A directory that may be a model's; with a `problem`, which says why it can't be looked into."""

    name: str
    variant: str | None
    path: Path
    problem: str | None = None


def model_places(directory: Path) -> Iterator[ModelPlace]:
    """The places below the directory of all models, by name; nothing where the directory is not there yet.

    Raises:
        ConfigError: the directory can't be read.
    """
    try:
        names = _names(directory)
    except FileNotFoundError:
        if directory.is_symlink():
            raise _unreadable(directory, _nowhere(directory)) from None
        return
    except OSError as error:
        raise _unreadable(directory, reason_of(error)) from error
    for name in names:
        parent = directory / name
        shown = unsegment(name)
        try:
            variants = _names(parent)
        except FileNotFoundError:
            if parent.is_symlink():
                yield ModelPlace(shown, None, parent, _nowhere(parent))
            continue
        except NotADirectoryError:
            continue
        except OSError as error:
            yield ModelPlace(shown, None, parent, reason_of(error))
            continue
        for variant in variants:
            path = parent / variant
            shown_variant = None if variant == NO_VARIANT else unsegment(variant)
            is_directory, problem = _looked_at(path)
            if is_directory or problem is not None:
                yield ModelPlace(shown, shown_variant, path, problem)


def _names(directory: Path) -> list[str]:
    with os.scandir(directory) as entries:
        return sorted(entry.name for entry in entries if not entry.name.startswith("."))


def _looked_at(path: Path) -> tuple[bool, str | None]:
    """Whether it is a directory, and why that can't be told."""
    try:
        return stat.S_ISDIR(path.stat().st_mode), None
    except FileNotFoundError:
        return False, _nowhere(path) if path.is_symlink() else None
    except OSError as error:
        return False, reason_of(error)


def _nowhere(link: Path) -> str:
    return f"is a link to {as_text(os.readlink(link))}, which is not there"


def _unreadable(directory: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The directory of the models, {as_text(str(directory))}, {why}",
        hint="put that right, or set providers.candle.model_directory",
        details={"key": "providers.candle.model_directory", "path": as_text(str(directory)), "reason": why},
    )
