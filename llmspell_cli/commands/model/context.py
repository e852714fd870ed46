"""A loaded model's context in words."""

from __future__ import annotations

from typing import Any


def context_text(model: dict[str, Any], before: str = "") -> str:
    """`context of 8192 tokens (the most that auto takes)`, with something before it; empty where nothing is known."""
    if model.get("context_size") is None:
        return ""
    reason = f" ({model['context_reason']})" if model.get("context_reason") else ""
    return f"{before}context of {model['context_size']} tokens{reason}"
