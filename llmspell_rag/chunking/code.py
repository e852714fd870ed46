"""Chunks by definitions: a class or a function of the outermost level begins a chunk; within, methods and lines."""

from __future__ import annotations

from llmspell_rag.chunking.borders import Borders, joined, lines, paragraphs
from llmspell_rag.chunking.contract import Measures
from llmspell_rag.documents.text import Text


def borders(document: Text, measures: Measures) -> Borders:
    """Where definitions begin and end, from the outermost; then groups of lines, then lines."""
    del measures
    depths = sorted({section.level for section in document.sections})
    definitions = [
        joined(
            place for section in document.sections if section.level == depth for place in (section.start, section.end)
        )
        for depth in depths
    ]
    groups = joined(document.blocks, paragraphs(document.text))
    levels = [*definitions, groups, lines(document.text)]
    return Borders(levels=levels, always=min(1, len(definitions)), together=len(definitions))
