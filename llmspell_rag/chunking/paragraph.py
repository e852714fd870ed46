"""Chunks of whole paragraphs; of records, where a document has some: a table's rows, a list's entries."""

from __future__ import annotations

from llmspell_rag.chunking.borders import Borders, joined, paragraphs
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.chunking.sentences import sentences
from llmspell_rag.documents.text import Text


def borders(document: Text, measures: Measures) -> Borders:
    """Where records, pages and paragraphs begin, and the sentences in them."""
    del measures
    within = [
        joined(paragraphs(document.text), document.pages, document.blocks),
        sentences(document.text, document.metadata.get("language")),
    ]
    if document.records:
        return Borders(levels=[document.records, *within], always=1)
    return Borders(levels=within)
