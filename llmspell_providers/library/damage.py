"""A model on the disk that can't be used, and why. Knows no store."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.library.manifest import FILE_NAME, Manifest
from llmspell_providers.library.names import as_text
from llmspell_providers.library.regular_file import Unreadable, regular_status

_CLOCKS_DIFFER_S = 60.0
"""Between a file server's clock and this machine's."""
_SHOWN_OWNER = 200
"""Characters: an owner may be a path."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with the model at `path`; name and variant are those of its directory."""

    name: str
    variant: str | None
    path: Path
    reason: str
    owner: str | None = None

    @property
    def id(self) -> str:
        """The name that every command accepts: `name[:variant]`."""
        return f"{self.name}:{self.variant}" if self.variant else self.name

    @property
    def shown_path(self) -> str:
        """The directory as a message can carry it."""
        return as_text(str(self.path))

    def error(self) -> ModelLoadFailed:
        """The answer to every request for this model."""
        mends = f"llmspell model pull --force {self.id} fetches it again, llmspell doctor --fix moves it away"
        if self.owner is not None:
            mends = f"llmspell model remove {self.id}, then import it again, or pull a model of its own"
        return ModelLoadFailed(
            f"Model '{self.id}' is damaged: {self.reason} ({self.shown_path})",
            hint=mends,
            details={"model": self.id, "path": self.shown_path, "reason": self.reason},
        )


def _shortened(owner: str) -> str:
    return owner if len(owner) <= _SHOWN_OWNER else f"{owner[: _SHOWN_OWNER - 1]}…"


def damage_of(manifest: Manifest, directory: Path) -> Damage | None:
    """What is wrong with the files that a manifest names, as far as their sizes tell; contents are `verify`'s."""
    for file in manifest.files:
        reason = file_problem(directory / file.name, file.size_bytes)
        if reason is not None:
            reason = f"'{file.name}' {reason}"
            if manifest.owner is not None:
                reason += f": it belongs to {_shortened(manifest.owner)}, and was removed or changed there"
            return Damage(manifest.name, manifest.variant, directory, reason, manifest.owner)
    return None


def changed_later(manifest: Manifest, directory: Path) -> str | None:
    """What a person should know about files of the right size that were written to after they were pulled.

    Reading gigabytes at each load is `verify`'s; times cost nothing. A file that was overwritten has a new one.
    """
    pulled = datetime.fromisoformat(manifest.modified_at).timestamp()
    for file in manifest.files:
        with contextlib.suppress(OSError):
            if (directory / file.name).stat().st_mtime > pulled + _CLOCKS_DIFFER_S:
                return f"'{file.name}' was changed after it was pulled; llmspell model verify tells whether it is whole"
    return None


def file_problem(path: Path, size_bytes: int) -> str | None:
    """Why a file is not the one of this size, as the end of a sentence; None where it may be."""
    try:
        actual = regular_status(path).st_size
    except FileNotFoundError:
        return "is missing"
    except Unreadable as error:
        return str(error)
    return None if actual == size_bytes else f"has {actual} bytes in place of {size_bytes}"


def manifest_damage(name: str, variant: str | None, directory: Path, reason: str) -> Damage:
    """The damage of a model whose manifest can't be used."""
    return Damage(name, variant, directory, f"'{FILE_NAME}' {reason}")
