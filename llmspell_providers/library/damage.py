"""A model on the disk that can't be used, and why. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from llmspell_protocol.errors import ModelLoadFailed
from llmspell_providers.library.manifest import FILE_NAME, Manifest
from llmspell_providers.library.names import as_text
from llmspell_providers.library.regular_file import Unreadable, regular_status


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


def damage_of(manifest: Manifest, directory: Path) -> Damage | None:
    """What is wrong with the files that a manifest names, as far as their sizes tell; contents are `verify`'s."""
    for file in manifest.files:
        reason = file_problem(directory / file.name, file.size_bytes)
        if reason is not None:
            reason = f"'{file.name}' {reason}"
            if manifest.owner is not None:
                reason += f": it belongs to {manifest.owner}, and was removed or changed there"
            return Damage(manifest.name, manifest.variant, directory, reason, manifest.owner)
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
