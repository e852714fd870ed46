"""How much memory the worker of one model may take: what it is expected to, and slack that no honest model passes.

Knows estimates, not processes.
"""

from __future__ import annotations

from typing import Literal

from llmspell_protocol.worker_memory import FEW_THREADS, stacks_bytes
from llmspell_providers.residency.estimate import Estimate

_SLACK_BYTES = 1 << 30
"""For what no estimate knows: an engine's tables, logits of large vocabularies, fragments of its heap."""
_TORCH_SLACK_BYTES = 4 << 30
"""PyTorch maps the file as memory of its own beside the weights in float32, and its libraries reserve much."""
_THREADS_A_CORE = 3
"""An engine's computing threads, for prompts and for tokens, and those that serve its listener."""


def memory_limit_bytes(
    expected: Estimate, wanted: Literal["auto"] | int, *, model_format: str, cores: int, available_bytes: int
) -> int:
    """The private memory of a worker, at most; `wanted` is the settings' word for it.

    `auto` is half more than what is expected right after the load, twice what may come later, with embeddings, and
    slack; never more than the `available_bytes` of this machine, unless more than that is expected.
    """
    if wanted != "auto":
        return wanted
    loaded = max(expected.loaded_bytes, expected.unscaled_bytes)
    slack = _TORCH_SLACK_BYTES if model_format == "safetensors" else _SLACK_BYTES
    later = expected.growth_bytes + expected.embed_bytes
    generous = loaded * 3 // 2 + 2 * later + slack + stacks_bytes(FEW_THREADS + _THREADS_A_CORE * cores)
    return min(generous, max(available_bytes, loaded + later + slack // 2))
