"""pdf-processor: text, pages and metadata, and files that are made to harm."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader, PdfWriter

from llmspell_protocol.errors import Forbidden, InvalidRequest, Unsupported
from tests.support.pdf_files import deflated, page, pdf, stream, whole
from tests.support.tool_calls import Called, call_tool

INFO = {"Title": "A title", "Author": "Ada", "CreationDate": "D:20260102030405Z", "Producer": "by hand"}
THREE = pdf(["First page", "Second page", "Third page"], INFO)


WITH_PICTURE = (
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 6 0 R /Resources << /XObject << /X 7 0 R >> >> >>"
)


def tree(kids: str, more: dict[int, bytes] | None = None) -> bytes:
    objects = {1: b"<< /Type /Catalog /Pages 2 0 R >>", 4: b"<< >>"}
    objects[2] = f"<< /Type /Pages /Count 2 /Kids [{kids}] >>".encode()
    return whole(objects | (more or {}))


def read(place: Path, data: bytes = THREE, operation: str | None = None, **arguments: Any) -> Called:
    (place / "a.pdf").write_bytes(data)
    tables = arguments.pop("tables", None)
    given_ = {"input": "a.pdf", **arguments, **({"operation": operation} if operation else {})}
    return call_tool("pdf-processor", given_, read=[str(place)], directory=str(place), tables=tables)


def test_text_of_all_pages_or_some(tmp_path: Path) -> None:
    called = read(tmp_path)
    assert called.output == "First page\nSecond page\nThird page"
    assert called.result == {"text": called.output, "page_count": 3, "pages_read": 3, "characters": len(called.output)}
    assert read(tmp_path, start_page=2).output == "Second page\nThird page"
    assert read(tmp_path, start_page=2, end_page=2).output == "Second page"
    assert read(tmp_path, end_page=9).result["pages_read"] == 3
    for name in ("path", "file_path"):
        assert call_tool("pdf-processor", {name: str(tmp_path / "a.pdf")}, read=[str(tmp_path)]).output == called.output


def test_pages_one_by_one(tmp_path: Path) -> None:
    called = read(tmp_path, operation="extract_pages", end_page=2)
    assert called.output == [
        {"page": 1, "text": "First page", "width": 612.0, "height": 792.0},
        {"page": 2, "text": "Second page", "width": 612.0, "height": 792.0},
    ]
    assert [figures["page"] for _, figures in called.progress] == [1, 2]


def test_pictures_come_where_the_setting_says_so(tmp_path: Path) -> None:
    keys = "/Type /XObject /Subtype /Image /Width 2 /Height 1 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    data = tree("5 0 R", {5: WITH_PICTURE, 6: stream(b"/X Do"), 7: stream(bytes([255, 0, 0, 0, 0, 255]), keys)})
    assert "images" not in read(tmp_path, data, "extract_pages").result["pages"][0]
    called = read(tmp_path, data, "extract_pages", tables={"document": {"extract_images": True}})
    assert called.result["pages"][0]["images"] == 1
    assert called.outcome is not None
    [media] = called.outcome.media
    assert (media["type"], media["format"], media["width"], media["height"]) == ("image", "png", 2, 1)
    with Image.open(io.BytesIO(base64.b64decode(media["base64"]))) as picture:
        assert [picture.getpixel((at, 0)) for at in (0, 1)] == [(255, 0, 0), (0, 0, 255)]


def test_metadata(tmp_path: Path) -> None:
    assert read(tmp_path, operation="extract_metadata").result == {
        "title": "A title",
        "author": "Ada",
        "subject": None,
        "keywords": None,
        "creator": None,
        "producer": "by hand",
        "creation_date": "2026-01-02T03:04:05+00:00",
        "modification_date": None,
        "page_count": 3,
        "pdf_version": "1.7",
        "encrypted": False,
    }
    odd = read(tmp_path, pdf(["x"], {"CreationDate": "yesterday"}), "extract_metadata")
    assert odd.result["creation_date"] is None
    with pytest.raises(Unsupported, match="switched off"):
        read(tmp_path, operation="extract_metadata", tables={"document": {"extract_metadata": False}})


def test_an_encrypted_file_needs_its_password(tmp_path: Path) -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(THREE)))
    writer.encrypt("open it", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    assert "needs a password" in read(tmp_path, file.getvalue()).said
    assert "another password" in read(tmp_path, file.getvalue(), password="no").said
    assert read(tmp_path, file.getvalue(), password="open it", end_page=1).output == "First page"
    writer.encrypt("", algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    assert read(tmp_path, file.getvalue(), operation="extract_metadata").result["encrypted"] is True


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    assert "is not a PDF file" in read(tmp_path, b"text").said
    assert "has 3 pages, no page 4" in read(tmp_path, start_page=4).said
    absent = call_tool("pdf-processor", {"input": str(tmp_path / "b")}, read=[str(tmp_path)])
    assert absent.failure is not None
    assert absent.failure.code == "not_found"
    for arguments in ({"start_page": 0}, {"start_page": 3, "end_page": 2}, {"operation": "print"}):
        with pytest.raises(InvalidRequest):
            read(tmp_path, **arguments)
    with pytest.raises(InvalidRequest, match="'input'"):
        call_tool("pdf-processor", {})
    with pytest.raises(Forbidden, match="Path not allowed"):
        call_tool("pdf-processor", {"input": str(tmp_path / "a.pdf")})


def test_sizes_and_pages_are_held_to_the_settings(tmp_path: Path) -> None:
    with pytest.raises(Forbidden, match="more than 100"):
        read(tmp_path, tables={"document": {"max_pdf_size": 100}})
    assert "max_pages" in read(tmp_path, tables={"document": {"max_pages": 2}}).said
    assert read(tmp_path, start_page=2, tables={"document": {"max_pages": 2}}).result["pages_read"] == 2


LOOPS = {
    "pages that are their own": tree("2 0 R"),
    "pages of each other": tree("5 0 R", {5: b"<< /Type /Pages /Count 2 /Kids [2 0 R] >>"}),
    "a count that is none": tree("5 0 R", {5: page("[]"), 2: b"<< /Type /Pages /Count 2 0 R /Kids 2 0 R >>"}),
    "a reference to itself": tree("5 0 R", {5: b"5 0 R"}),
    "references in a circle": tree("5 0 R", {5: b"6 0 R", 6: b"5 0 R"}),
    "contents that are themselves": tree("5 0 R", {5: page("6 0 R"), 6: b"[6 0 R 6 0 R]"}),
    "a parent that is itself": tree("5 0 R", {5: b"<< /Type /Page /Parent 5 0 R /Contents 6 0 R >>", 6: stream(b"")}),
    "a length that is itself": tree("5 0 R", {5: page("6 0 R"), 6: b"<< /Length 6 0 R >>\nstream\nx\nendstream"}),
    "brackets without an end": tree("5 0 R", {5: b"[" * 50_000}),
    "dictionaries without an end": tree("5 0 R", {5: b"<< /A " * 20_000}),
    "a table that is before itself": THREE.replace(
        b"/Root 1 0 R", f"/Root 1 0 R /Prev {THREE.index(b'xref')}".encode()
    ),
    "a form in itself": tree(
        "5 0 R",
        {
            5: WITH_PICTURE,
            6: stream(b"/X Do"),
            7: stream(b"/X Do", "/Type /XObject /Subtype /Form /Resources << /XObject << /X 7 0 R >> >>"),
        },
    ),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("operation", ["extract_text", "extract_pages", "extract_metadata"])
def test_a_file_that_leads_in_circles_ends(tmp_path: Path, name: str, operation: str) -> None:
    called = read(tmp_path, LOOPS[name], operation)
    assert called.failure is not None or called.outcome is not None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("times", [1, 2])
def test_a_bomb_in_a_page_is_refused(tmp_path: Path, times: int) -> None:
    bomb = deflated(b" " * 200_000_000, times)
    data = tree("5 0 R", {5: page("6 0 R"), 6: bomb})
    assert len(data) < 1_000_000
    assert read(tmp_path, data).said


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.data())
def test_a_changed_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    changed = bytearray(THREE)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(8, len(changed) - 1))] = data.draw(st.integers(0, 255))
    for operation in ("extract_text", "extract_metadata"):
        read(tmp_path, bytes(changed), operation)
