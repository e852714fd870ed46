"""pdf-processor: text, metadata and pages of a PDF file."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from llmspell_protocol.errors import InvalidRequest, Unsupported
from llmspell_tools.contract import Call, Outcome, Tool, ToolFailure
from llmspell_tools.extra_libraries import library
from llmspell_tools.parameters import ToolParameters, parameter

_LONGEST_TEXT = 20_000_000
"""Characters; what a file of the largest size could expand to is bounded nowhere else."""

_LARGEST_PICTURES = 30_000_000
"""Bytes of base64"""


class Parameters(ToolParameters):
    """What `pdf-processor` is called with."""

    operation: Literal["extract_text", "extract_metadata", "extract_pages"] = parameter("what to do", "extract_text")
    input: str = parameter("the file", also=("path", "file_path"))
    start_page: int = parameter("the first page, from 1", 1, ge=1)
    end_page: int | None = parameter("the last page; left out: the last there is", None, ge=1)
    password: str | None = parameter("of an encrypted file", None)


def run(wanted: Parameters, call: Call) -> Outcome:
    """Does what the operation says; text of pictures is not read."""
    settings = call.tables["document"]
    pypdf = library("pypdf", "pypdf", "reading PDF files")
    with call.files.open(wanted.input, largest_bytes=int(settings.get("max_pdf_size", 52_428_800))) as file:
        if b"%PDF-" not in file.read(1024):
            raise ToolFailure(f"{wanted.input} is not a PDF file")
        file.seek(0)
        with _told(pypdf, wanted.input):
            reader = pypdf.PdfReader(file)
            if reader.is_encrypted and not reader.decrypt(wanted.password or ""):
                said = "is encrypted; it needs a password" if wanted.password is None else "has another password"
                raise ToolFailure(f"{wanted.input} {said}")
            return _OPERATIONS[wanted.operation](wanted, call, reader, settings)


@contextmanager
def _told(pypdf: Any, path: str) -> Iterator[None]:
    """What pypdf says about a file in the words of a tool; what it would only log is the file's own business."""
    log = logging.getLogger("pypdf")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    except pypdf.errors.DependencyError as error:
        raise Unsupported(f"{path} can't be read: {error}") from None
    except (pypdf.errors.PyPdfError, *_DAMAGED) as error:
        raise ToolFailure(f"{path} is damaged: {error or type(error).__name__}") from None
    finally:
        log.setLevel(level)


_DAMAGED = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    RecursionError,
    ArithmeticError,
    AssertionError,
)
"""What pypdf lets through where a file is not what it expects."""


def _pages(wanted: Parameters, reader: Any, settings: Mapping[str, Any]) -> range:
    """The positions of the pages that are wanted, from 0."""
    count = len(reader.pages)
    if wanted.start_page > count:
        raise ToolFailure(f"{wanted.input} has {count} page{'s'[: count != 1]}, no page {wanted.start_page}")
    last = count if wanted.end_page is None else min(wanted.end_page, count)
    if last < wanted.start_page:
        raise InvalidRequest(f"end_page {wanted.end_page} comes before start_page {wanted.start_page}")
    most = settings.get("max_pages")
    if most is not None and last - wanted.start_page + 1 > most:
        raise ToolFailure(
            f"{last - wanted.start_page + 1} pages are more than {most} (tools.document.max_pages); name an end_page"
        )
    return range(wanted.start_page - 1, last)


def _texts(wanted: Parameters, call: Call, reader: Any, settings: Mapping[str, Any]) -> Iterator[tuple[int, Any, str]]:
    """Number, page and text of the pages that are wanted."""
    pages, length = _pages(wanted, reader, settings), 0
    for at in pages:
        page = reader.pages[at]
        text = page.extract_text()
        length += len(text)
        if length > _LONGEST_TEXT:
            raise ToolFailure(f"{wanted.input} has more than {_LONGEST_TEXT:,} characters; take fewer pages at once")
        yield at + 1, page, text
        call.progress(f"page {at + 1} of {len(reader.pages)}", page=at + 1, pages=len(reader.pages))


def _text(wanted: Parameters, call: Call, reader: Any, settings: Mapping[str, Any]) -> Outcome:
    texts = [text for _, _, text in _texts(wanted, call, reader, settings)]
    text = "\n".join(texts)
    result = {"text": text, "page_count": len(reader.pages), "pages_read": len(texts), "characters": len(text)}
    return Outcome(operation="extract_text", result=result, output=text, text=text, message=f"{len(texts)} pages")


def _extracted(wanted: Parameters, call: Call, reader: Any, settings: Mapping[str, Any]) -> Outcome:
    pages = []
    media: list[dict[str, Any]] = []
    for number, page, text in _texts(wanted, call, reader, settings):
        box = page.mediabox
        one = {"page": number, "text": text, "width": float(box.width), "height": float(box.height)}
        if settings.get("extract_images"):
            found = _pictures(page, wanted.input, _LARGEST_PICTURES - sum(len(each["base64"]) for each in media))
            one["images"] = len(found)
            media += found
        pages.append(one)
    result = {"pages": pages, "page_count": len(reader.pages)}
    return Outcome(operation="extract_pages", result=result, output=pages, message=f"{len(pages)} pages", media=media)


def _pictures(page: Any, path: str, left: int) -> list[dict[str, Any]]:
    """The pictures of a page as media; `left` is how many bytes of base64 they may have."""
    library("PIL.Image", "pillow", "reading pictures of PDF files")
    found = []
    for picture in page.images:
        encoded = base64.b64encode(picture.data).decode()
        left -= len(encoded)
        if left < 0:
            raise ToolFailure(f"{path} has more than {_LARGEST_PICTURES:,} bytes of pictures; take fewer pages at once")
        width, height = picture.image.size
        kind = picture.name.rpartition(".")[2].lower()
        found.append({"type": "image", "format": kind, "base64": encoded, "width": width, "height": height})
    return found


def _metadata(wanted: Parameters, call: Call, reader: Any, settings: Mapping[str, Any]) -> Outcome:
    if not settings.get("extract_metadata", True):
        raise Unsupported("reading metadata of documents is switched off", hint="set tools.document.extract_metadata")
    named = reader.metadata or {}
    info = {str(key).removeprefix("/").lower(): str(value) for key, value in dict(named).items()}
    result = {
        **{key: info.get(key) for key in ("title", "author", "subject", "keywords", "creator", "producer")},
        "creation_date": _moment(lambda: reader.metadata.creation_date),
        "modification_date": _moment(lambda: reader.metadata.modification_date),
        "page_count": len(reader.pages),
        "pdf_version": reader.pdf_header.removeprefix("%PDF-"),
        "encrypted": bool(reader.is_encrypted),
    }
    return Outcome(operation="extract_metadata", result=result, output=result, message=f"{len(reader.pages)} pages")


def _moment(read: Callable[[], Any]) -> str | None:
    """ISO 8601; None where there is none, or one that is no date."""
    try:
        found = read()
    except (ValueError, AttributeError):
        return None
    return found.isoformat() if found is not None else None


_OPERATIONS = {"extract_text": _text, "extract_pages": _extracted, "extract_metadata": _metadata}

TOOL = Tool(
    name="pdf-processor",
    description="Reads PDF files: their text, their metadata, or their pages one by one. Text in pictures is not read.",
    category="data",
    level="restricted",
    parameters=Parameters,
    run=run,
    needs=("read",),
    settings=("document", "file_operations"),
    result=(
        "extract_text: {text, page_count, pages_read, characters}; extract_pages: {pages: [{page, text, width, height, "
        "images?}], page_count}, sizes in points; extract_metadata: {title, author, subject, keywords, creator, "
        "producer, creation_date, modification_date, page_count, pdf_version, encrypted}"
    ),
    keywords=("pdf", "document", "text", "pages"),
)
