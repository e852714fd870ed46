"""What a model of the catalog will take in memory, before anything of it is here. Knows no disk and no network."""

from __future__ import annotations

from llmspell_providers.library.catalog import CatalogEntry
from llmspell_providers.library.manifest import Manifest, ManifestFile
from llmspell_providers.residency.estimate import Setting, estimate

CONTEXT_TOKENS = 4096
"""The context that the catalog's numbers are for."""
_BATCH_TOKENS = 512


def expected_bytes(entry: CatalogEntry) -> int | None:
    """Weights, context and work space of one conversation of `CONTEXT_TOKENS`; None where nothing is known to tell."""
    size = entry.size_bytes
    if entry.backend != "candle" or size is None:
        return None
    model = Manifest(
        name=entry.name,
        format=entry.format,
        files=(ManifestFile(f"model.{entry.format}", size, ""),),
        source="",
        modified_at="",
        embedding_length=entry.embedding_length,
        vocab_size=entry.vocab_size,
        chat_template="chat" in entry.capabilities,
        capabilities=entry.capabilities,
        memory=entry.memory,
    )
    setting = Setting(
        engine="", device="cpu", context_size=CONTEXT_TOKENS, slots=1, batch_size=_BATCH_TOKENS, embeds=False
    )
    expected = estimate(model, setting)
    return expected.loaded_bytes + expected.compute_bytes
