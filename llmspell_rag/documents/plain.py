"""Plain text: read as it is."""

from __future__ import annotations

from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.text import Text, whole_characters


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The text, with the encoding that it was in.

    Raises:
        InvalidRequest: it is no text.
    """
    text, encoding = decoded(source, name, charset)
    return Text(text=whole_characters(text), media_type=media_type, metadata={"encoding": encoding})
