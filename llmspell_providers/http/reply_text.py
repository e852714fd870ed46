"""What one reply says and thinks, gathered piece by piece. Knows no interface."""

from __future__ import annotations

from llmspell_protocol.models import ChatChunk
from llmspell_providers.http.fields import Halves


class ReplyText:
    """The text and the reasoning that have come so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._half_of_text = Halves()
        self._half_of_reasoning = Halves()

    def take(self, text: str = "", reasoning: str = "") -> ChatChunk | None:
        """The chunk for a piece of each, if there is anything to show."""
        return self._added(self._half_of_text.take(text), self._half_of_reasoning.take(reasoning))

    def rest(self) -> ChatChunk | None:
        """The chunk for what was held back, after the last piece."""
        return self._added(self._half_of_text.rest(), self._half_of_reasoning.rest())

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(self._text)

    @property
    def reasoning(self) -> str | None:
        """All that was thought; None for nothing."""
        return "".join(self._reasoning) or None

    def _added(self, text: str, reasoning: str) -> ChatChunk | None:
        self._text.append(text)
        self._reasoning.append(reasoning)
        return ChatChunk(text=text, reasoning=reasoning) if text or reasoning else None
