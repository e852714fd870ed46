"""Images in a conversation: refused by every backend that would leave them out."""

from __future__ import annotations

from llmspell_protocol.errors import Unsupported
from llmspell_protocol.models import ChatRequest


def refuse_images(request: ChatRequest, backend: str) -> None:
    """Raises `Unsupported` if a message has images: better no answer than one to half a question."""
    if any(message.images for message in request.messages):
        raise Unsupported(
            f"{backend} can't take images",
            hint="use a model that sees, with Ollama",
            details={"operation": "images", "backend": backend},
        )
