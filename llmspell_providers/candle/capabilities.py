"""What the in-house backend does: alike with all engines, but for what an engine declares to lack.

Imports the module of the engine that is asked about, never its library.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module

from llmspell_protocol.models import ChatRequest
from llmspell_providers.candle.engine import ABILITIES, Ability
from llmspell_providers.capabilities import LLAMA_OPTIONS, WORDS, Capabilities, Word, asked_for, declare

TORCH = "torch"
"""The engine of safetensors; GGUF files have the one of the settings."""

ENGINES: Mapping[str, tuple[str, str]] = {
    "xllamacpp": ("llmspell_providers.candle.llama_cpp", "XLlamaCpp"),
    "llama-server": ("llmspell_providers.candle.llama_server", "LlamaServer"),
    "llama-cpp-python": ("llmspell_providers.candle.llama_cpp_python", "LlamaCppPython"),
    TORCH: ("llmspell_providers.candle.transformer.engine", "TorchEngine"),
}
"""Module and class of each engine."""

_OPTIONS: Mapping[str, tuple[Word, ...]] = {TORCH: (*LLAMA_OPTIONS, "num_beams")}
_EVERY_ENGINE = frozenset(("chat", *LLAMA_OPTIONS)).intersection(("chat", *_OPTIONS[TORCH]))
_ALL_LACK: Mapping[Word, str] = {
    "images": "its engines take text alone",
    "truncate": "a prompt that is too long is refused",
}
_MEANS: Mapping[Ability, Word] = {"prefix_cache": "cached_tokens"}
"""What a lacking ability means for requests, where that is another word."""


@cache
def engine_lacks(engine: str) -> frozenset[Ability]:
    """The abilities that an engine declares to lack."""
    module, name = ENGINES[engine]
    lacks: frozenset[Ability] = getattr(import_module(module), name).lacks
    return lacks


@cache
def candle_capabilities(engine: str) -> Capabilities:
    """What is done by one engine."""
    lacks = {
        _MEANS.get(ability, ability): f"the engine {engine} lacks what {ABILITIES[ability]}"
        for ability in sorted(engine_lacks(engine))
        if _MEANS.get(ability, ability) in WORDS
    }
    return declare(options=_OPTIONS.get(engine, LLAMA_OPTIONS), lacks={**_ALL_LACK, **lacks})


def demand_for(request: ChatRequest, engine: str, backend: str) -> None:
    """As `Capabilities.demand_for`; an ordinary request is not kept waiting while the engine's module is imported."""
    if not _EVERY_ENGINE.issuperset(asked_for(request)):
        candle_capabilities(engine).demand_for(request, backend)


def engine_of(model_format: str | None, gguf_engine: str) -> str:
    """The engine for a model's format; `gguf_engine` is that of the settings."""
    return TORCH if model_format == "safetensors" else gguf_engine
