"""PDF: the text of each page, and the outline as sections; no text of pictures.

Read by PDFium, whose defects and hunger for memory end the process that reads, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from llmspell_protocol.errors import InvalidRequest, LlmspellError, Unsupported
from llmspell_rag.documents.text import Heading, Text, demand_length, sections_of, whole_characters
from llmspell_rag.libraries import library

_PASSWORD = 4
_SECURITY = 5
"""PDFium's FPDF_ERR_PASSWORD and FPDF_ERR_SECURITY (fpdfview.h)."""
_BETWEEN_PAGES = "\n\n"
_MOST_HEADINGS = 10_000
_HYPHEN_AT_LINE_END = "\ufffe"
"""What PDFium gives for a hyphen that divides a word at the end of a line; the next line follows at once."""
_METADATA = {"Author": "author", "Subject": "subject", "Keywords": "keywords", "CreationDate": "created"}


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The text of all pages.

    Raises:
        InvalidRequest: it is no PDF, damaged, encrypted, or has pictures of text alone; `details.reason` says which.
        Unsupported: PDFium isn't installed.
    """
    del charset
    pdfium = library("pypdfium2", "pypdfium2", "reading PDF files")
    try:
        document = pdfium.PdfDocument(source)
    except pdfium.PdfiumError as error:
        raise _refused(name, getattr(error, "err_code", None)) from None
    with closing(document):
        try:
            texts = list(_texts(document, name))
        except pdfium.PdfiumError as error:
            raise _damaged(name, str(error)) from None
        count = len(texts)
        empty = sum(not text.strip() for text in texts)
        if empty == count:
            raise _has_no_text(name, count)
        pages, length = [], 0
        for text in texts:
            pages.append(length)
            length += len(text) + len(_BETWEEN_PAGES)
        whole = _BETWEEN_PAGES.join(texts)
        said = {key: str(value).strip() for key, value in document.get_metadata_dict(skip_empty=True).items()}
        metadata: dict[str, Any] = {"pages": count}
        metadata |= {word: whole_characters(said[key]) for key, word in _METADATA.items() if said.get(key)}
        if empty:
            metadata["warnings"] = [f"{empty} of {count} pages have no text: pictures are not read"]
        return Text(
            text=whole,
            media_type=media_type,
            title=whole_characters(said.get("Title", "")) or None,
            pages=pages,
            sections=sections_of(_headings(document, whole, pages), len(whole)),
            metadata=metadata,
        )


def _texts(document: Any, name: str) -> Iterator[str]:
    length = 0
    for at in range(len(document)):
        page = document[at]
        with closing(page), closing(page.get_textpage()) as content:
            text = content.get_text_range().replace(_HYPHEN_AT_LINE_END, "").replace("\r\n", "\n").replace("\r", "\n")
        text = whole_characters(text).strip()
        length += len(text)
        demand_length(length, name)
        yield text


def _headings(document: Any, text: str, pages: list[int]) -> list[Heading]:
    """The outline's entries: where their words stand on their page, else where the page begins."""
    found: list[Heading] = []
    ends = [*pages[1:], len(text)]
    for entry in document.get_toc(max_depth=6):
        destination = entry.get_dest()
        page = destination.get_index() if destination is not None else None
        title = " ".join(whole_characters(entry.get_title() or "").split())
        if page is None or not 0 <= page < len(pages) or not title:
            continue
        begin = pages[page]
        after = max(begin, found[-1].start + 1) if found else begin
        at = text.find(title, after, ends[page])
        start = at if at >= 0 else begin
        if not found or start > found[-1].start:
            found.append(Heading(start, entry.level + 1, title))
        if len(found) == _MOST_HEADINGS:
            break
    return found


def _refused(name: str, code: int | None) -> LlmspellError:
    if code == _PASSWORD:
        return InvalidRequest(
            f"{name} is encrypted, and opens with a password alone",
            hint="save it without: qpdf --decrypt --password=PASSWORD in.pdf out.pdf",
            details={"name": name, "reason": "encrypted"},
        )
    if code == _SECURITY:
        return Unsupported(
            f"{name} is protected in a way that can't be read",
            hint="save it without protection, or give its text",
            details={"name": name, "reason": "encrypted"},
        )
    return _damaged(name, "it is no PDF, or its structure can't be followed")


def _damaged(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is damaged: {what}",
        hint="repair it (qpdf in.pdf out.pdf), or save it anew with the program that made it",
        details={"name": name, "reason": "damaged"},
    )


def _has_no_text(name: str, pages: int) -> InvalidRequest:
    if not pages:
        return _damaged(name, "it has no pages")
    return InvalidRequest(
        f"{name} has no text: its {pages} page{'s'[: pages != 1]} {'are' if pages != 1 else 'is'} a picture",
        hint="let its text be recognized first: ocrmypdf in.pdf out.pdf",
        details={"name": name, "reason": "pictures", "pages": pages},
    )
