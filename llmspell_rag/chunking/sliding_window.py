"""Chunks of one size, wherever that ends; words stay whole."""

from __future__ import annotations

from llmspell_rag.chunking.borders import Borders
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.documents.text import Text


def borders(document: Text, measures: Measures) -> Borders:
    """None."""
    del document, measures
    return Borders(whole=False)
