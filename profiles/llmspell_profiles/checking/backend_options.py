"""Options of backends beyond the keys of this schema: what may stand in a provider table and is passed on as it is."""

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
