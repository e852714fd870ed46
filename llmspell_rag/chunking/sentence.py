"""Chunks of whole sentences."""

from __future__ import annotations

from llmspell_rag.chunking.borders import Borders
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.chunking.sentences import sentences
from llmspell_rag.documents.text import Text


def borders(document: Text, measures: Measures) -> Borders:
    """Where sentences begin."""
    del measures
    return Borders(levels=[sentences(document.text, document.metadata.get("language"))])
