"""PDF files written by hand: pages with text, and those that are made to harm."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence


def pdf(pages: Sequence[str], info: Mapping[str, str] | None = None, more: Sequence[bytes] = ()) -> bytes:
    """A file with a line of text on each page; `more` are objects besides, from the number 100 on."""
    objects: dict[int, bytes] = {1: b"<< /Type /Catalog /Pages 2 0 R >>"}
    kids = " ".join(f"{10 + 2 * at} 0 R" for at in range(len(pages)))
    objects[2] = f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode()
    objects[3] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects[4] = b"<< " + b" ".join(f"/{name} ({value})".encode() for name, value in (info or {}).items()) + b" >>"
    for at, text in enumerate(pages):
        objects[10 + 2 * at] = page(f"{11 + 2 * at} 0 R")
        objects[11 + 2 * at] = stream(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode())
    objects |= dict(enumerate(more, start=100))
    return whole(objects)


def page(contents: str, parent: int = 2) -> bytes:
    """A page object."""
    resources = "/Resources << /Font << /F1 3 0 R >> >>"
    return f"<< /Type /Page /Parent {parent} 0 R /MediaBox [0 0 612 792] {resources} /Contents {contents} >>".encode()


def stream(data: bytes, keys: str = "") -> bytes:
    """A stream object."""
    return f"<< /Length {len(data)} {keys} >>\nstream\n".encode() + data + b"\nendstream"


def deflated(data: bytes, times: int = 1) -> bytes:
    """A stream that is compressed so many times over."""
    for _ in range(times):
        data = zlib.compress(data)
    return stream(data, f"/Filter [{'/FlateDecode ' * times}]")


def whole(objects: Mapping[int, bytes], trailer: str = "/Root 1 0 R /Info 4 0 R") -> bytes:
    """A file of numbered objects."""
    data, places = b"%PDF-1.7\n", {}
    for number, content in objects.items():
        places[number] = len(data)
        data += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    begin, size = len(data), max(objects) + 1
    data += f"xref\n0 {size}\n".encode()
    for number in range(size):
        data += f"{places[number]:010} 00000 n \n".encode() if number in places else b"0000000000 65535 f \n"
    return data + f"trailer\n<< /Size {size} {trailer} >>\nstartxref\n{begin}\n%%EOF\n".encode()


def slow_to_read() -> bytes:
    """A small file whose one page has so many pieces of text in one line that no reader comes to an end."""
    pieces = b" ".join(b"1 0 0 1 %d 700 Tm (ab) Tj" % (600 - at % 600) for at in range(200_000))
    return _one_page(deflated(b"BT /F1 1 Tf " + pieces + b" ET"))


def expanding() -> bytes:
    """A file of two kilobytes whose one page takes gigabytes of memory."""
    pieces = (b"BT /F1 12 Tf (" + b"y" * 200 + b") Tj ET ") * 500_000
    return _one_page(deflated(pieces, 2))


def _one_page(contents: bytes) -> bytes:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count 1 /Kids [10 0 R] >>",
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        4: b"<< >>",
        10: page("11 0 R"),
        11: contents,
    }
    return whole(objects)
