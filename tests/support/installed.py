"""Models that are installed as far as manifests tell, without weights."""

from __future__ import annotations

from pathlib import Path

from llmspell_protocol.models import Format
from llmspell_providers.library.manifest import Manifest, ManifestFile, write_manifest
from llmspell_providers.library.store import Store


def install(
    home: Path,
    name: str,
    variant: str | None = None,
    *,
    weights: Format = "gguf",
    capabilities: tuple[str, ...] = (),
    context_length: int | None = None,
) -> None:
    """A model in the directory that candle has by default below `home`."""
    manifest = Manifest(
        name=name,
        variant=variant,
        format=weights,
        files=(ManifestFile(f"model.{weights}", 3, "0" * 64),),
        source="file:///model.gguf",
        capabilities=capabilities,
        context_length=context_length,
        modified_at="2025-01-01T00:00:00Z",
    )
    directory = Store(home / "models" / "candle").directory_of(manifest)
    directory.mkdir(parents=True)
    (directory / f"model.{weights}").write_bytes(b"abc")
    write_manifest(directory, manifest)
