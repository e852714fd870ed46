"""The images of a conversation as vendors want them: what kind of file each is, told from its first bytes."""

from __future__ import annotations

import base64
from typing import NamedTuple

from llmspell_protocol.errors import InvalidRequest

_RIFF_HEADER = 8
"""Bytes of a WebP file before its own mark."""
_SHOWN_BYTES = 8


class Image(NamedTuple):
    """A whole file, as text for JSON."""

    media_type: str
    base64: str

    @property
    def url(self) -> str:
        """The file as an address."""
        return f"data:{self.media_type};base64,{self.base64}"


def image(data: bytes) -> Image:
    """A file's kind and its bytes as text.

    Raises:
        InvalidRequest: no kind that vendors take.
    """
    return Image(_media_type(data), base64.b64encode(data).decode())


def _media_type(data: bytes) -> str:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(b"RIFF") and data.startswith(b"WEBP", _RIFF_HEADER):
        return "image/webp"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    raise InvalidRequest(
        f"an image of {len(data)} bytes is of no known format",
        hint="images are whole PNG, JPEG, WebP or GIF files",
        details={"begins_with": data[:_SHOWN_BYTES].hex()},
    )
