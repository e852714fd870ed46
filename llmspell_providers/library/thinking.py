"""Whether a model can be told to think aloud or not, by its chat templates. Pure text; a switch that a template lacks
would be ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from llmspell_protocol.errors import Unsupported

_SWITCH = re.compile(r"\b(?:enable_)?thinking\b")
"""The words of llama.cpp's `enable_thinking` in templates (Qwen 3, Granite, DeepSeek, Gemma)."""
_ALWAYS = re.compile(r"<think>")


def may_think(templates: Mapping[str, str]) -> bool:
    """Whether a model with these chat templates can think aloud."""
    return any(_SWITCH.search(text) or _ALWAYS.search(text) for text in templates.values())


def demand_thinking(model: str, wanted: bool, templates: Mapping[str, str]) -> None:
    """Raises `Unsupported` where a model would not do as is wanted: it never thinks, or can't be kept from it."""
    texts = templates.values()
    if any(_SWITCH.search(text) for text in texts):
        return
    always = any(_ALWAYS.search(text) for text in texts)
    if wanted is always or not (wanted or always):
        return
    if wanted:
        why, hint = "its chat template knows no thinking", "Qwen 3 is a model that thinks"
    else:
        why, hint = "it always thinks", "what it thinks stands apart from the reply"
    raise Unsupported(
        f"{model} can't do 'think': {why}", hint=hint, details={"operation": "think", "model": model, "wanted": wanted}
    )
