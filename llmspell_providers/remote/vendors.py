"""What is known about each vendor's OpenAI-compatible interface: where it is, and in what it differs from OpenAI's.

From the vendors' own documentation, and from the errors that people report of extra fields. Knows no connection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from llmspell_protocol.abilities import Word
from llmspell_providers.capabilities import Capabilities, declare

_NONE: Mapping[str, Sequence[str]] = MappingProxyType({})
_STANDARD = ("temperature", "top_p", "max_tokens", "stop")
_MANAGES_MODELS = "the server manages its models"
_MEMORY = "the server decides what it has in memory"
_LACKS: Mapping[Word, str] = {
    **dict.fromkeys(("pull", "remove", "verify"), _MANAGES_MODELS),
    **dict.fromkeys(("load", "unload"), _MEMORY),
    "device": "the server decides where its models run",
    "speculation": "the server decides how its models draft",
    "think": "vendors have different words for it, or none",
    "loaded": "the server does not tell what it has in memory",
    "prefill": "its interface does not tell",
    "truncate": "a prompt that is too long is refused",
}
"""What can't be done with any model behind HTTP."""

_NO_LIST: Mapping[Word, str] = {"list": "its interface has no list of models"}
_NO_VECTORS: Mapping[Word, str] = {"embed": "its interface makes none"}
_NO_TOKENS: Mapping[Word, str] = {"tokenize": "its interface does not offer it"}
_NO_SCORES: Mapping[Word, str] = {"rerank": "its interface does not offer it"}
_ANSWERS_ONLY: Mapping[Word, str] = {**_NO_TOKENS, **_NO_SCORES, "raw": "it only answers conversations"}
_NO_CALLS: Mapping[Word, str] = {"tools": "its models call none"}


class Vendor(NamedTuple):
    """One kind of server. `sampling` has the names there of options that OpenAI's own interface lacks."""

    base_url: str | None
    """None where the vendor has no such interface, or where it is the user's own server."""
    lacks: Mapping[Word, str] = _ANSWERS_ONLY
    """What its interface lacks, besides what can't be done with any model behind HTTP."""
    needs_key: bool = True
    counts_on_demand: bool = True
    """Whether `stream_options` is accepted; the others send the usage unasked, or never."""
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed: Literal["seed", "random_seed"] | None = "seed"
    sampling: Mapping[str, Sequence[str]] = _NONE
    replays_reasoning: bool = False
    """Whether earlier turns may carry what the model thought; strict servers refuse the field."""
    names_tools: bool = True
    """Whether `tool_choice` may be a tool. llama.cpp's server takes it for "auto" and LM Studio refuses it: there the
    named tool is sent alone, with "required"."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be done with its models."""
        seed = () if self.seed is None else ("seed",)
        return declare(options=(*_STANDARD, *seed, *self.sampling), lacks={**_LACKS, **self.lacks})


_OPEN_WEIGHTS: Mapping[str, Sequence[str]] = MappingProxyType(
    {"top_k": ("top_k",), "min_p": ("min_p",), "repeat_penalty": ("repetition_penalty",)}
)

OWN_SERVER = Vendor(
    None,
    lacks={},
    needs_key=False,
    # llama.cpp's name and vLLM's; each ignores the other's.
    sampling={
        **_OPEN_WEIGHTS,
        "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
        "repeat_last_n": ("repeat_last_n",),
    },
    replays_reasoning=True,
    names_tools=False,
)
"""vLLM, Ray Serve, llama-server, LM Studio, Ollama's /v1: servers that ignore what they do not know."""

VENDORS: Mapping[str, Vendor] = {
    # Reasoning models refuse max_tokens; max_completion_tokens is good for all.
    "openai": Vendor(
        "https://api.openai.com/v1",
        {**_ANSWERS_ONLY, "reasoning": "its interface keeps to itself what a model thinks"},
        limit="max_completion_tokens",
    ),
    "groq": Vendor("https://api.groq.com/openai/v1", {**_ANSWERS_ONLY, **_NO_VECTORS}),
    # docs.together.ai, "Rerank": /v1/rerank, with the fields that llama.cpp's server and vLLM took over.
    "together": Vendor("https://api.together.xyz/v1", _NO_TOKENS, sampling=_OPEN_WEIGHTS),
    "fireworks": Vendor("https://api.fireworks.ai/inference/v1", {**_NO_TOKENS, **_NO_SCORES}, sampling=_OPEN_WEIGHTS),
    # Refuses unknown fields: "Extra inputs are not permitted".
    "mistral": Vendor("https://api.mistral.ai/v1", counts_on_demand=False, seed="random_seed"),
    # docs.perplexity.ai, "OpenAI Compatibility".
    "perplexity": Vendor(
        "https://api.perplexity.ai",
        {**_ANSWERS_ONLY, **_NO_LIST, **_NO_VECTORS, **_NO_CALLS},
        counts_on_demand=False,
        seed=None,
        sampling={"top_k": ("top_k",)},
    ),
    # docs.cohere.com, "Using Cohere models via the OpenAI SDK": chat and embeddings only.
    "cohere": Vendor("https://api.cohere.ai/compatibility/v1", {**_ANSWERS_ONLY, **_NO_LIST}, counts_on_demand=False),
    "gemini": Vendor("https://generativelanguage.googleapis.com/v1beta/openai", seed=None),
    # Its own interface runs predictions and is another one.
    "replicate": Vendor(None, {**_ANSWERS_ONLY, **_NO_VECTORS}),
    "anthropic": Vendor(
        "https://api.anthropic.com/v1",
        {**_ANSWERS_ONLY, **_NO_VECTORS},
        seed=None,
        sampling={"top_k": ("top_k",)},
    ),
}


def vendor_of(provider_type: str, base_urls: Sequence[str]) -> Vendor:
    """What to expect of a provider: type `openai` at another address than OpenAI's is a compatible server."""
    vendor = VENDORS[provider_type]
    own = provider_type == "openai" and base_urls and not any(_is_openai(url) for url in base_urls)
    return OWN_SERVER if own else vendor


def _is_openai(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "api.openai.com" or host.endswith(".api.openai.com")
