"""A document's bytes to its text: which reader for which kind. Knows no files and no processes."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_rag.documents import media_types
from llmspell_rag.documents.text import Text, demand_length

READER_VERSION = 1
"""Counts up where a document is read otherwise than before, so that what is unchanged is read again."""

_READERS = {
    media_types.MARKDOWN: "markdown",
    media_types.HTML: "html",
    media_types.PDF: "pdf",
    media_types.DOCX: "docx",
    media_types.CSV: "tables",
    media_types.TSV: "tables",
    media_types.JSON: "json_values",
    media_types.JSON_LINES: "json_values",
}
_TEXT_ELSEWHERE = frozenset({"application/xml", "application/toml", "application/yaml", "application/x-yaml"})
_HEAD_BYTES = 8192


def read(source: bytes, name: str, media_type: str | None = None) -> Text:
    """The text of a document; `media_type` is what its sender says, with parameters or without.

    Raises:
        InvalidRequest: it can't be read: binary, damaged, encrypted, without text, too long; `details.reason` says
            which, and the hint what to do.
        Unsupported: its kind is none that is read, or a library isn't installed.
    """
    kind = media_types.of(name, media_type, source[:_HEAD_BYTES])
    reader = _READERS.get(kind)
    if reader is None and media_types.language_of(kind) is not None:
        reader = "code"
    if reader is None:
        if not kind.startswith("text/") and not kind.endswith("+xml") and kind not in _TEXT_ELSEWHERE:
            raise Unsupported(
                f"{name} can't be read: it is {kind}",
                hint="PDF, DOCX, HTML, Markdown, text, CSV, JSON and source code are read: convert it to one of them",
                details={"name": name, "media_type": kind},
            )
        reader = "plain"
    # Only the reader that is needed, and with it its libraries.
    module = import_module(f"llmspell_rag.documents.{reader}")
    text = cast(Text, module.read(source, name, kind, media_types.charset_of(media_type)))
    demand_length(len(text.text), name)
    if not text.text.strip():
        raise InvalidRequest(f"{name} has no text in it", details={"name": name, "reason": "empty"})
    return text
