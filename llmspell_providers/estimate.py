"""How much memory a model will take, from its manifest, before it is loaded; learns from what it took the last time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from llmspell_providers.manifest import Manifest

KV_BYTES_AN_ELEMENT = 2
"""Keys and values are kept as float16."""
PROCESS_BYTES = 66_000_000
"""The worker itself with its engine's library, right after a load: measured with xllamacpp, and the same from 512 to
32,768 tokens of context and from 64 to 1,024 tokens of batch."""
SCRATCH_VALUES_A_WIDTH = 24
"""Float32 values that one token of a batch needs for each dimension of the model: SmolLM2 took 12 MB at 256 × 576."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes of one loaded model; `ratio` is measured ÷ estimated of its last load (1 before any)."""

    weights_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    prompt_cache_bytes: int
    ratio: float = 1.0

    @property
    def unscaled_bytes(self) -> int:
        """Right after the load, as calculated."""
        return self.weights_bytes + self.kv_cache_bytes + PROCESS_BYTES

    @property
    def loaded_bytes(self) -> int:
        """Right after the load, as experience corrects the calculation."""
        return round(self.unscaled_bytes * self.ratio)

    @property
    def growth_bytes(self) -> int:
        """What requests add later: scratch memory at the first long prompt, and kept prompts."""
        return self.compute_bytes + self.prompt_cache_bytes


def estimate(
    manifest: Manifest, *, context_size: int, slots: int, batch_size: int, prompt_cache_bytes: int
) -> Estimate:
    """What the model takes with `slots` contexts of `context_size` tokens each, read in steps of `batch_size`."""
    return Estimate(
        weights_bytes=manifest.size_bytes,
        kv_cache_bytes=kv_bytes_a_token(manifest) * context_size * slots,
        compute_bytes=4 * SCRATCH_VALUES_A_WIDTH * batch_size * (manifest.embedding_length or 0),
        prompt_cache_bytes=prompt_cache_bytes,
        ratio=manifest.memory_ratio or 1.0,
    )


def kv_bytes_a_token(manifest: Manifest) -> int:
    """Layers × KV heads × (key + value dimensions) × bytes; 0 where the file does not tell."""
    heads = manifest.kv_heads or manifest.heads
    if manifest.layers is None or heads is None:
        return 0
    dimensions = manifest.head_dim
    if dimensions is None:
        if manifest.embedding_length is None or not manifest.heads:
            return 0
        dimensions = 2 * manifest.embedding_length // manifest.heads
    return manifest.layers * heads * dimensions * KV_BYTES_AN_ELEMENT


def prompt_cache_bytes(wanted: Literal["auto"] | int, *, budget_bytes: int, weights_bytes: int) -> int:
    """The memory for prompts of finished requests; `auto` is a tenth of the budget, at most the weights' size."""
    return wanted if wanted != "auto" else min(budget_bytes // 10, weights_bytes)
