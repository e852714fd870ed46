"""Whether a plain word looks like a model's name: a known family and a version or a size. Knows names alone.

Loaded where a kernel has no model of a name.
"""

from __future__ import annotations

import re

from llmspell_protocol.vendors import vendor_of

FAMILIES = (
    *("aya", "bge", "bloom", "chatglm", "codegemma", "codellama", "codestral", "cogito", "command-r", "deepseek"),
    *("devstral", "dolphin", "embeddinggemma", "exaone", "falcon", "flan", "functiongemma", "gemini", "gemma", "glm"),
    *("gpt", "granite", "grok", "hermes", "internlm", "jamba", "jina", "kimi", "lfm", "llama", "llava", "magistral"),
    *("medgemma", "minicpm", "minilm", "minimax", "ministral", "mistral", "mixtral", "moondream", "ms-marco"),
    *("multilingual-e5", "mxbai", "nemotron"),
    *("nomic", "olmo", "openhermes", "opencoder", "phi", "qwen", "qwq", "smollm", "solar", "stablelm", "starcoder"),
    *("t5", "tinyllama", "tulu", "vicuna", "wizardlm", "yi", "zephyr"),
)
"""Families of models by their names, without versions."""
_KINDS = (
    *("base", "chat", "chatbot", "code", "coder", "embed", "embedding", "flash", "haiku", "instruct", "it", "large"),
    *("lite", "math", "medium", "mini", "nano", "nemo", "opus", "oss", "pro", "small", "sonnet", "tiny", "turbo"),
    *("vision", "vl"),
)
_VERSIONED = re.compile(
    # qwen9, llama-7b, phi_3.5, deepseek-r1, mistral-small-latest; no `gpt-like` and no `llama`.
    rf"(?:{'|'.join(FAMILIES)})(?:[-_.]?[a-z]?\d[\w.+-]*|[-_.](?:{'|'.join(_KINDS)})(?:[-_.][\w.+-]*)?)",
    re.ASCII,
)


def looks_like_a_model(word: str) -> bool:
    """Whether a word is called as models are, whether or not there is such a model."""
    return vendor_of(word) is not None or _VERSIONED.fullmatch(word.lower()) is not None
