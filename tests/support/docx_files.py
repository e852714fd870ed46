"""A document of Word with headings, text and a table."""

from __future__ import annotations

import io

import docx

TIDES = "High water comes twice a day. The moon pulls the sea. "


def written_docx() -> bytes:
    """Its bytes."""
    document = docx.Document()
    document.add_heading("Tides", 1)
    document.add_paragraph(TIDES * 4)
    document.add_heading("Ports", 2)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        (cell for row in table.rows for cell in row.cells), ("Port", "Hour", "Dover", "11"), strict=True
    ):
        cell.text = text
    document.core_properties.author = "Jo"
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()
