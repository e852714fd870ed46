"""Chunks by headings: a section begins a chunk; within, blocks stay whole (lists, tables, code). Not of Markdown alone:
of every document that has headings."""

from __future__ import annotations

from llmspell_rag.chunking.borders import Borders, joined, paragraphs
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.chunking.sentences import sentences
from llmspell_rag.documents.markdown import structure
from llmspell_rag.documents.text import Text


def borders(document: Text, measures: Measures) -> Borders:
    """Where sections begin, then blocks, then paragraphs, then sentences.

    What has neither sections nor blocks is read as Markdown.
    """
    del measures
    sections, blocks = document.sections, document.blocks
    if not sections and not blocks:
        sections, blocks = structure(document.text)
    return Borders(
        levels=[
            [section.start for section in sections],
            joined(blocks, document.records),
            paragraphs(document.text),
            sentences(document.text, document.metadata.get("language")),
        ],
        always=1,
    )
