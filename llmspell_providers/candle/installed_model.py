"""A model of the store as a look-up tells of it. Knows no store."""

from __future__ import annotations

from dataclasses import dataclass, field

from llmspell_providers.base import FoundModel
from llmspell_providers.library.manifest import Manifest


@dataclass(frozen=True, slots=True)
class InstalledModel(FoundModel):
    """A model of the store, with its manifest."""

    manifest: Manifest = field(kw_only=True)


def installed(manifest: Manifest) -> InstalledModel:
    """What a look-up tells of an installed model."""
    return InstalledModel(manifest.format, manifest.chat_template, manifest.id, manifest=manifest)
