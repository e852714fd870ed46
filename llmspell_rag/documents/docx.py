"""DOCX: paragraphs, headings and tables in their order; no headers, footers and comments."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any

from llmspell_protocol.errors import InvalidRequest
from llmspell_rag.documents.text import Text, whole_characters
from llmspell_rag.documents.written import Written
from llmspell_rag.libraries import library

_LARGEST_BYTES = 500_000_000
_RATIO = 200
_FREE_BYTES = 20_000_000
"""What may come out of a file at any ratio: XML packs well, and small files of spaces are common."""
_MOST_PARTS = 10_000
_HEADING = re.compile(r"(?:heading|überschrift|titre|título|titolo|заголовок|見出し|标题)\s*([1-9])", re.IGNORECASE)
_DEEPEST_TABLE = 8
_DAMAGED = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, RuntimeError, SyntaxError, TypeError),
    *(ValueError, zipfile.BadZipFile, zlib.error),
)
"""What python-docx, lxml (whose errors are SyntaxErrors) and zipfile say of a file that isn't what they expect."""
_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The beginning of a compound file: what an old .doc is, and a .docx with a password."""


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The text of the body.

    Raises:
        InvalidRequest: it is no DOCX, damaged, encrypted, has no text, or would unpack to more than it may.
        Unsupported: the library isn't installed.
    """
    del charset
    docx = library("docx", "python-docx", "reading DOCX files")
    if source.startswith(_ENCRYPTED):
        raise InvalidRequest(
            f"{name} is encrypted, or a document of Word before 2007",
            hint="save it as .docx without a password",
            details={"name": name, "reason": "encrypted"},
        )
    _demand_size(source, name)
    try:
        document = docx.Document(io.BytesIO(source))
        written = Written(name)
        _write(document, written, _levels(document), _items(document))
        said = document.core_properties
        metadata = {
            word: whole_characters(str(value))
            for word, value in (("author", said.author), ("subject", said.subject), ("language", said.language))
            if value
        }
        title = whole_characters(said.title or "").strip()
    except (*_DAMAGED, _package_error()) as error:
        raise _damaged(name, str(error) or type(error).__name__) from None
    sections = written.sections
    if not written.length:
        raise InvalidRequest(
            f"{name} has no text", hint="pictures in it are not read", details={"name": name, "reason": "empty"}
        )
    return Text(
        text=written.text,
        media_type=media_type,
        title=title or next((one.title for one in sections if one.level == 1), None),
        sections=sections,
        blocks=written.blocks,
        metadata=metadata,
    )


def _package_error() -> type[Exception]:
    from docx.opc.exceptions import OpcError

    return OpcError


def _demand_size(source: bytes, name: str) -> None:
    """Looks at the sizes that the file states, before anything is unpacked; no entry gives more than it states."""
    try:
        with zipfile.ZipFile(io.BytesIO(source)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise _damaged(name, str(error) or type(error).__name__) from None
    size = sum(entry.file_size for entry in entries)
    allowed = min(_LARGEST_BYTES, max(_FREE_BYTES, _RATIO * len(source)))
    if size > allowed or len(entries) > _MOST_PARTS:
        raise InvalidRequest(
            f"{name} would unpack to {size:,} bytes in {len(entries):,} parts, more than a file of its size may",
            hint="save it anew with the program that made it",
            details={"name": name, "reason": "bomb", "size_bytes": size, "limit_bytes": allowed},
        )


def _levels(document: Any) -> dict[str, int]:
    """The level of each style that makes a heading, by the style's id."""
    found: dict[str, int] = {}
    for style in document.styles:
        match = _HEADING.fullmatch(style.name or "")
        if match is not None:
            found[style.style_id] = int(match[1])
        elif (style.name or "").lower() == "title":
            found[style.style_id] = 1
    return found


def _items(document: Any) -> frozenset[str]:
    """The ids of the styles of lists."""
    return frozenset(style.style_id for style in document.styles if (style.name or "").lower().startswith("list "))


def _write(container: Any, written: Written, levels: dict[str, int], items: frozenset[str]) -> None:
    from docx.table import Table

    for item in container.iter_inner_content():
        if isinstance(item, Table):
            for row in _rows(item, _DEEPEST_TABLE):
                written.block(row)
            continue
        # The style's id alone: python-docx looks the style itself up among all of them.
        level = levels.get(item._p.style or "")
        if level is not None:
            written.heading(item.text, level)
        else:
            is_item = item._p.style in items or (item._p.pPr is not None and item._p.pPr.numPr is not None)
            written.block(("- " if is_item and item.text.strip() else "") + item.text.strip("\n"))


def _rows(table: Any, deeper: int) -> list[str]:
    """A table's rows as lines of cells; what is a table in a cell stands in the cell."""
    rows = []
    for row in table._tbl.tr_lst:
        cells = [" ".join(_cell(cell, deeper).split()) for cell in row.tc_lst]
        rows.append(" | ".join(cell for cell in cells if cell))
    return rows


def _cell(cell: Any, deeper: int) -> str:
    # Elements and not python-docx's cells: those of a row are found by walking the whole table.
    from docx.oxml.ns import qn
    from docx.text.paragraph import Paragraph

    parts = []
    for child in cell:
        if child.tag == qn("w:p"):
            parts.append(Paragraph(child, None).text)  # type: ignore[arg-type]
        elif child.tag == qn("w:tbl") and deeper:
            parts += [" ".join(_cell(inner, deeper - 1).split()) for row in child.tr_lst for inner in row.tc_lst]
    return " ".join(parts)


def _damaged(name: str, what: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is damaged, or no DOCX: {what}",
        hint="save it anew with the program that made it",
        details={"name": name, "reason": "damaged"},
    )
