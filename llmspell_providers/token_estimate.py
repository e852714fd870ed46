"""How many tokens a text will be, before anything has counted them."""

from __future__ import annotations

from llmspell_protocol.models import ChatRequest

CHARACTERS_A_TOKEN = 4
"""About so many in European languages."""


def estimated_tokens(*texts: str) -> int:
    """The tokens of some texts together, roughly."""
    return sum(map(len, texts)) // CHARACTERS_A_TOKEN


def estimated_prompt_tokens(request: ChatRequest) -> int:
    """The tokens that a request will be read as, roughly; images and tools are not counted."""
    return estimated_tokens(request.prompt or "", *(turn.content for turn in request.messages))
