"""The vendors of remote models, and the variable in which each one's own documentation puts the API key."""

from __future__ import annotations

from collections.abc import Mapping

KEY_VARIABLES: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "cohere": "COHERE_API_KEY",
    "groq": "GROQ_API_KEY",
    "perplexity": "PERPLEXITY_API_KEY",
    "together": "TOGETHER_API_KEY",
    "gemini": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY",
    "replicate": "REPLICATE_API_TOKEN",
    "fireworks": "FIREWORKS_API_KEY",
}

_MODELS: Mapping[str, str] = {
    "openai": r"(?:chat)?gpt-\d|o[1-9](?![^-])",
    "anthropic": "claude-",
    "gemini": "gemini-",
}
"""How the names of a vendor's own models begin; `gpt-oss` is for everybody."""


def vendor_of(model: str) -> str | None:
    """The vendor that calls a model so, such as `openai` for `gpt-4o`; None: none that is known by its names."""
    # Few names need it.
    import re

    return next((vendor for vendor, names in _MODELS.items() if re.match(names, model.lower())), None)
