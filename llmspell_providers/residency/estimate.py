"""How much memory a model will take, from its manifest, before it is loaded; learns from what it took the last time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llmspell_providers.library.architectures import ENCODER_DECODERS

if TYPE_CHECKING:
    from llmspell_providers.library.manifest import Manifest

KV_BYTES_AN_ELEMENT = 2
"""Keys and values are kept as float16."""
PROCESS_BYTES = 66_000_000
"""The worker itself with its engine's library, right after a load: measured with xllamacpp, and the same from 512 to
32,768 tokens of context and from 64 to 1,024 tokens of batch."""
TORCH_PROCESS_BYTES = 345_000_000
"""The same with PyTorch 2.13 and the classes of transformers 5.23 for one model, on a processor."""
FLOAT32_BYTES = 4
"""PyTorch computes in float32 on a processor, whatever the file has. Accelerators have memory of their own, which is
not counted; what they leave free of this estimate is on the safe side."""
SCRATCH_VALUES_A_WIDTH = 24
"""Float32 values that one token of a batch needs for each dimension of the model: SmolLM2 took 12 MB at 256 × 576."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Bytes of one loaded model; `ratio` is measured ÷ estimated of its last load (1 before any).

    `kv_cache_bytes` are taken at the load, `compute_bytes` while requests run; `mapped_bytes` are the part of the
    weights that is mapped from files.
    """

    weights_bytes: int
    mapped_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    prompt_cache_bytes: int
    process_bytes: int
    ratio: float = 1.0

    @property
    def unscaled_bytes(self) -> int:
        """Right after the load, as calculated."""
        return self.weights_bytes + self.kv_cache_bytes + self.process_bytes

    @property
    def loaded_bytes(self) -> int:
        """Right after the load, as experience corrects the calculation."""
        return round(self.unscaled_bytes * self.ratio)

    @property
    def growth_bytes(self) -> int:
        """What requests add later: scratch memory at the first long prompt, kept prompts, PyTorch's keys and values."""
        return self.compute_bytes + self.prompt_cache_bytes


def estimate(
    manifest: Manifest,
    *,
    context_size: int,
    slots: int,
    batch_size: int,
    prompt_cache_bytes: int,
) -> Estimate:
    """What the model takes with `slots` contexts of `context_size` tokens each, read in steps of `batch_size`."""
    if manifest.format == "safetensors":
        return _with_torch(manifest, context_size=context_size, slots=slots)
    return Estimate(
        weights_bytes=manifest.size_bytes,
        mapped_bytes=manifest.size_bytes,
        kv_cache_bytes=KV_BYTES_AN_ELEMENT * kv_elements_a_token(manifest) * context_size * slots,
        compute_bytes=_scratch_bytes(manifest, batch_size),
        prompt_cache_bytes=prompt_cache_bytes,
        process_bytes=PROCESS_BYTES,
        ratio=manifest.memory_ratio or 1.0,
    )


def _with_torch(manifest: Manifest, *, context_size: int, slots: int) -> Estimate:
    """Weights in float32, mapped if the file has them so; everything else comes and goes with requests.

    Pages of mapped weights are read when they are first needed, so that a fresh worker's memory says nothing about the
    next one's: no ratio is learned.
    """
    weights_bytes = FLOAT32_BYTES * (manifest.parameter_count or 0) or manifest.size_bytes
    caches = 2 if manifest.architecture in ENCODER_DECODERS else 1 if "chat" in manifest.capabilities else 0
    kv_cache_bytes = caches * FLOAT32_BYTES * kv_elements_a_token(manifest) * context_size * slots
    return Estimate(
        weights_bytes=weights_bytes,
        mapped_bytes=weights_bytes if manifest.quantization == "F32" else 0,
        kv_cache_bytes=0,
        compute_bytes=kv_cache_bytes + _scratch_bytes(manifest, context_size),
        prompt_cache_bytes=0,
        process_bytes=TORCH_PROCESS_BYTES,
    )


def _scratch_bytes(manifest: Manifest, tokens: int) -> int:
    return FLOAT32_BYTES * SCRATCH_VALUES_A_WIDTH * tokens * (manifest.embedding_length or 0)


def kv_elements_a_token(manifest: Manifest) -> int:
    """Layers × KV heads × (key + value dimensions); 0 where the file does not tell."""
    heads = manifest.kv_heads or manifest.heads
    if manifest.layers is None or heads is None:
        return 0
    dimensions = manifest.head_dim
    if dimensions is None:
        if manifest.embedding_length is None or not manifest.heads:
            return 0
        dimensions = 2 * manifest.embedding_length // manifest.heads
    return manifest.layers * heads * dimensions


def prompt_cache_bytes(wanted: Literal["auto"] | int, *, budget_bytes: int, weights_bytes: int) -> int:
    """The memory for prompts of finished requests; `auto` is a tenth of the budget, at most the weights' size."""
    return wanted if wanted != "auto" else min(budget_bytes // 10, weights_bytes)
