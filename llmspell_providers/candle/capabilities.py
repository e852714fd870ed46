"""What the in-house backend does: alike with all engines, but for what an engine declares to lack.

The engines' declarations are here and not in their modules, which only a worker imports.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmspell_protocol.abilities import WORDS, Word
from llmspell_providers.candle.engine import Ability
from llmspell_providers.capabilities import LLAMA_OPTIONS, Capabilities, declare
from llmspell_providers.schemas.grammars import Grammar

TORCH = "torch"
"""The engine of safetensors; GGUF files have the one of the settings."""

LACKS: Mapping[str, frozenset[Ability]] = {
    "xllamacpp": frozenset(),
    "llama-server": frozenset(),
    "llama-cpp-python": frozenset({"parallel", "prompt_cache", "tools", "reasoning", "integer_bounds", "speculation"}),
    TORCH: frozenset({"prefix_cache", "prompt_cache", "tools", "reasoning", "schema", "integer_bounds", "speculation"}),
}
"""Each engine, and the abilities that it lacks."""

_OPTIONS: Mapping[str, tuple[Word, ...]] = {TORCH: (*LLAMA_OPTIONS, "num_beams")}
_ALL_LACK: Mapping[Word, str] = {
    "images": "its engines take text alone",
    "truncate": "a prompt that is too long is refused",
}
_LACKED_OPERATIONS: Mapping[str, Mapping[Word, str]] = {
    "llama-cpp-python": {"rerank": "the engine llama-cpp-python gives no scores"},
}
"""What an engine does not do with any model. Scores of llama-cpp-python: its `embed` reads as many numbers as a vector
has, of a memory that holds one."""
_MEANS: Mapping[Ability, Word] = {"prefix_cache": "cached_tokens"}
"""What a lacking ability means for requests, where that is another word."""


def _capabilities(engine: str) -> Capabilities:
    """What is done by one engine."""
    lacks = {
        _MEANS.get(ability, ability): f"the engine {engine} lacks it"
        for ability in sorted(LACKS[engine])
        if _MEANS.get(ability, ability) in WORDS
    }
    if "reasoning" in lacks:
        lacks["think"] = lacks["reasoning"]
    return declare(
        options=_OPTIONS.get(engine, LLAMA_OPTIONS),
        lacks={**_ALL_LACK, **lacks, **_LACKED_OPERATIONS.get(engine, {})},
        no_option="its engine has no such option",
        never_drafts="speculation" in lacks,
        grammar=Grammar(integer_bounds="integer_bounds" not in LACKS[engine]),
    )


def engine_of(model_format: str | None, gguf_engine: str) -> str:
    """The engine for a model's format; `gguf_engine` is that of the settings."""
    return TORCH if model_format == "safetensors" else gguf_engine


CAPABILITIES: Mapping[str, Capabilities] = {engine: _capabilities(engine) for engine in LACKS}
"""The declaration with each engine."""
