"""Options of backends beyond the keys of this schema: what may stand in a provider table and is passed on as it is.

Loaded only where a table has a key that the schema doesn't list.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from llmspell_protocol.vendors import KEY_VARIABLES

OLLAMA_OPTIONS = frozenset(
    (
        "numa",
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "low_vram",
        "f16_kv",
        "logits_all",
        "vocab_only",
        "use_mmap",
        "use_mlock",
        "embedding_only",
        "num_thread",
        "num_keep",
        "num_predict",
        "tfs_z",
        "typical_p",
        "presence_penalty",
        "frequency_penalty",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "penalize_newline",
    )
)
"""What the Ollama package's `Options` has beyond our own keys."""

CHAT_COMPLETIONS_OPTIONS = frozenset(
    (
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "metadata",
        "modalities",
        "n",
        "organization",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "project",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "store",
        "stream_options",
        "thinking",
        "tool_choice",
        "top_logprobs",
        "user",
        "verbosity",
        "web_search_options",
    )
)
"""What Chat Completions and its relatives take beyond our own keys."""

_OTHER_WORDS: Mapping[str, str] = {
    "type": "provider_type",
    "kind": "provider_type",
    "provider": "provider_type",
    "url": "base_url",
    "endpoint": "base_url",
    "host": "base_url",
    "api_base": "base_url",
    "key": "api_key",
    "timeout": "timeout_seconds",
    "num_ctx": "context_size",
    "n_ctx": "context_size",
    "context_length": "context_size",
    "num_predict": "max_tokens",
}
"""What other programs call some of our keys."""


def options_of(kind: object) -> frozenset[str]:
    """The options that a backend is known to take, by provider type; the in-house one has none beside its keys."""
    kind = kind.lower() if isinstance(kind, str) else ""
    if kind == "ollama":
        return OLLAMA_OPTIONS
    return CHAT_COMPLETIONS_OPTIONS if kind in KEY_VARIABLES else frozenset()


def is_option(key: str, kind: object) -> bool:
    """Whether a backend of this provider type is known to take the option."""
    return key in options_of(kind)


def meant_by(key: str, kind: object, listed: Iterable[str]) -> str | None:
    """The key or option that an unknown key of a provider's table may mean; `listed` are those of the schema."""
    known = [*listed, *options_of(kind)]
    if _OTHER_WORDS.get(key) in known:
        return _OTHER_WORDS[key]
    return next(iter(get_close_matches(key, known, 1, 0.6)), None)
