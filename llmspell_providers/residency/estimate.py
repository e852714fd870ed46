"""How much memory a model will take, from its manifest, before it is loaded; learns from what it took the last time."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from llmspell_protocol.structs import Struct
from llmspell_providers.library.architectures import ENCODER_DECODERS
from llmspell_providers.library.context_memory import KV_BYTES_AN_ELEMENT, ContextMemory

if TYPE_CHECKING:
    from llmspell_providers.library.manifest import Manifest

PROCESS_BYTES = 42_000_000
"""The worker itself with its engine's library, right after a load: measured with xllamacpp, and the same from 512 to
32,768 tokens of context and from 64 to 1,024 tokens of batch."""
TEMPLATE_BYTES = 3_500_000
"""A chat template, parsed and tried by llama.cpp while it loads."""
ENTRY_BYTES = 205
"""One token or one merge of a vocabulary, in llama.cpp's tables of texts and ids: 200 to 220 for 32,768 to 411,072."""
CONTEXT_STEP = 256
"""llama.cpp rounds the cells of a context up to a multiple of this."""
CONTEXT_CHECKPOINTS = 4
"""What a slot keeps of a window or a state at earlier places of its conversation: without any, a conversation that does
not go on exactly where its slot ended is read again from its beginning. llama.cpp's own default is 32."""
TORCH_PROCESS_BYTES = 345_000_000
"""The same with PyTorch 2.13 and the classes of transformers 5.23 for one model, on a processor."""
FLOAT32_BYTES = 4
"""PyTorch computes in float32 on a processor, whatever the file has. Accelerators have memory of their own, which is
not counted; what they leave free of this estimate is on the safe side."""
SCRATCH_VALUES_A_WIDTH = 24
"""Float32 values that one token of a batch needs for each dimension of the model: SmolLM2 took 12 MB at 256 × 576."""
EMBEDDED_LOGITS = 2
"""Float32 values for each entry of the vocabulary and each token of a text, where a model that chats is asked for
embeddings: llama.cpp then computes what would be said after every token, and keeps a copy."""
STATE_COPIES = 3
"""A recurrent layer's states: read, computed with and written."""


class Setting(Struct):
    """How a model is to be loaded, as far as its memory depends on it.

    `slots` contexts of `context_size` tokens each, prompts read in steps of `batch_size`. `embeds` says that texts are
    to be embedded, `full_windows` that the engine keeps all tokens in layers with a window, too.
    """

    engine: str
    device: str
    context_size: int
    slots: int
    batch_size: int
    embeds: bool = False
    full_windows: bool = False

    @property
    def name(self) -> str:
        """What a ratio is remembered by: all that a load's memory depends on."""
        return f"{self.engine} {self.device} {self.slots}x{self.context_size}/{self.batch_size}"


class Estimate(Struct):
    """Bytes of one loaded model; `ratio` is measured ÷ estimated of its last load in this setting (1 before any).

    `kv_cache_bytes` are taken at the load, `compute_bytes` while requests run, `embed_bytes` beside those where texts
    are embedded, which `embeds` says that they are; `mapped_bytes` are the part of the weights that is mapped from
    files. `checkpoint_bytes` is one of the `checkpoints` that each of the `slots` keeps.
    """

    weights_bytes: int
    mapped_bytes: int
    kv_cache_bytes: int
    compute_bytes: int
    process_bytes: int
    embed_bytes: int = 0
    embeds: bool = False
    prompt_cache_bytes: int = 0
    checkpoints: int = 0
    checkpoint_bytes: int = 0
    slots: int = 1
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
    def request_bytes(self) -> int:
        """What requests of the kind that it is to be loaded for add beyond that."""
        return self.embed_bytes if self.embeds else 0

    @property
    def slot_bytes(self) -> int:
        """A conversation that fills its slot, with its checkpoints."""
        return self.kv_cache_bytes // self.slots + self.checkpoints * self.checkpoint_bytes

    @property
    def growth_bytes(self) -> int:
        """What any requests add later, at most: scratch memory at the first long prompt, checkpoints, kept prompts."""
        kept = self.slots * self.checkpoints * self.checkpoint_bytes
        cache = 0
        if self.prompt_cache_bytes:
            # llama.cpp takes a conversation in before it drops others, and keeps one whatever its size.
            cache = max(self.prompt_cache_bytes, self.slot_bytes) + self.slot_bytes
        return self.compute_bytes + kept + cache


def estimate(manifest: Manifest, setting: Setting) -> Estimate:
    """What a model takes, with all checkpoints and without a cache of prompts."""
    if manifest.format == "safetensors":
        return _with_torch(manifest, context_size=setting.context_size, slots=setting.slots)
    memory = manifest.memory or _guessed(manifest)
    cells = -(-setting.context_size // CONTEXT_STEP) * CONTEXT_STEP
    window_cells = cells
    if memory.window_tokens and not setting.full_windows:
        needed = -(-(memory.window_tokens + setting.batch_size) // CONTEXT_STEP) * CONTEXT_STEP
        window_cells = min(cells, needed)
    slot_bytes = memory.kv_bytes_a_token * cells + memory.window_bytes_a_token * window_cells + memory.state_bytes
    return Estimate(
        weights_bytes=manifest.size_bytes + memory.repacked_bytes,
        mapped_bytes=manifest.size_bytes,
        kv_cache_bytes=setting.slots * slot_bytes,
        compute_bytes=_compute_bytes(manifest, memory, setting),
        embed_bytes=_embed_bytes(manifest, setting),
        embeds=setting.embeds,
        process_bytes=PROCESS_BYTES
        + ENTRY_BYTES * memory.vocabulary_entries
        + (TEMPLATE_BYTES if manifest.chat_template else 0),
        checkpoints=0 if setting.full_windows else CONTEXT_CHECKPOINTS,
        checkpoint_bytes=memory.window_bytes_a_token * min(memory.window_tokens, cells) + memory.state_bytes,
        slots=setting.slots,
        ratio=manifest.memory_ratios.get(setting.name, 1.0),
    )


def fitted(expected: Estimate, *, budget_bytes: int, prompt_cache: Literal["auto"] | int) -> Estimate:
    """The estimate with as many checkpoints, and as much cache of prompts where that is `auto`, as the budget leaves.

    Both make later turns faster, no more: a model that fits without them is loaded without them.
    """
    room = budget_bytes - expected.loaded_bytes - expected.compute_bytes - expected.request_bytes
    each = expected.slots * expected.checkpoint_bytes
    if each:
        expected = dataclasses.replace(expected, checkpoints=min(expected.checkpoints, max(0, room // each)))
        room -= expected.checkpoints * each
    if prompt_cache != "auto":
        return dataclasses.replace(expected, prompt_cache_bytes=prompt_cache)
    wanted = min(budget_bytes // 10, expected.mapped_bytes)
    left = room - expected.slot_bytes
    return dataclasses.replace(expected, prompt_cache_bytes=min(wanted, left) if left >= expected.slot_bytes else 0)


def _compute_bytes(manifest: Manifest, memory: ContextMemory, setting: Setting) -> int:
    reads_whole = bool(manifest.capabilities) and "chat" not in manifest.capabilities
    compute_bytes = _scratch_bytes(manifest, setting.context_size if reads_whole else setting.batch_size)
    if memory.state_layers:
        compute_bytes += STATE_COPIES * setting.slots * memory.state_bytes // memory.state_layers
    return compute_bytes


def _embed_bytes(manifest: Manifest, setting: Setting) -> int:
    if {"embed", "rerank"} & {*manifest.capabilities}:
        return 0  # a model for it has no words to say
    return EMBEDDED_LOGITS * FLOAT32_BYTES * setting.batch_size * (manifest.vocab_size or 0)


def _guessed(manifest: Manifest) -> ContextMemory:
    """For a manifest that does not tell: attention to everything in every layer."""
    return ContextMemory(
        kv_bytes_a_token=KV_BYTES_AN_ELEMENT * kv_elements_a_token(manifest),
        vocabulary_entries=2 * (manifest.vocab_size or 0),
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
