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
