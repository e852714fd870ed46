"""The text of a file in whatever encoding: what its encoding is, and bytes in the same encoding again."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 64_000
"""Bytes that an encoding is guessed by."""


class NotText(ValueError):
    """It is no text in the encoding that is named, or in none that is known."""


def decoded(data: bytes, encoding: str | None) -> tuple[str, str]:
    """Bytes as text without a byte order mark, and the encoding: the one named, else a mark's, UTF-8, or a likely one.

    An encoding with a mark is told as `utf-8-sig`, `utf-16` or `utf-32`, which write one again.

    Raises:
        NotText: see there.
    """
    name = encoding if encoding is not None else encoding_of(data)
    try:
        return data.decode(name).removeprefix("\ufeff"), name
    except (UnicodeDecodeError, LookupError) as error:
        raise NotText(f"it is no text in {name}: {error}") from None


def encoded(text: str, encoding: str) -> bytes:
    """Text as bytes.

    Raises:
        NotText: the encoding is unknown, or hasn't all of the characters.
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise NotText(f"{encoding} has no {text[error.start]!r} (line {line})") from None
    except LookupError as error:
        raise NotText(str(error)) from None


def encoding_of(data: bytes) -> str:
    """The encoding that bytes look like.

    Raises:
        NotText: none that is known.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return name
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        # Slow to import, and most files are UTF-8. What it sees has to have what isn't ASCII in it.
        from charset_normalizer import from_bytes

        begin = max(0, error.start - _LOOKED_AT // 2)
        found = from_bytes(data[begin : begin + _LOOKED_AT]).best()
        if found is None:
            raise NotText("its encoding is not known; name it") from None
        return str(found.encoding).replace("_", "-")
    return "utf-8"
