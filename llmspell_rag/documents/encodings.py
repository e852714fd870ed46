"""Bytes as text: by a byte order mark, by what the document or its sender says, as UTF-8, or as what it looks like."""

from __future__ import annotations

import codecs

from llmspell_protocol.errors import InvalidRequest

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_LOOKED_AT = 64_000
"""Bytes that an encoding is guessed by."""


def decoded(source: bytes, name: str, said: str | None = None) -> tuple[str, str]:
    """The text without a byte order mark, and its encoding; `said` is the encoding that its sender told, if any.

    Raises:
        InvalidRequest: it is no text, or in no encoding that is known.
    """
    for mark, encoding in _MARKS:
        if source.startswith(mark):
            return _in(source, encoding, name).removeprefix("\ufeff"), encoding
    if b"\0" in source:
        likely = _without_mark(source)
        if likely is None:
            raise is_binary(name)
        return _in(source, likely, name), likely
    if said is not None:
        try:
            return source.decode(said), codecs.lookup(said).name
        except (UnicodeDecodeError, LookupError):
            pass  # What a sender says of a document is often wrong; what it looks like is told as its encoding.
    try:
        return source.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        encoding = _likely(source, error.start, name)
        return _in(source, encoding, name), encoding


def is_binary(name: str) -> InvalidRequest:
    """The error for what is no text."""
    return InvalidRequest(
        f"{name} is binary, not text",
        hint="give its text, or a document of a kind that can be read (PDF, DOCX, HTML, text, tables, source code)",
        details={"name": name, "reason": "binary"},
    )


def _without_mark(source: bytes) -> str | None:
    """UTF-16 has NULs in every other place where a text is mostly ASCII."""
    head = source[: _LOOKED_AT - _LOOKED_AT % 2]
    half = len(head) // 2
    for encoding, most_zeros, few_zeros in (
        ("utf-16-le", head[1::2], head[0::2]),
        ("utf-16-be", head[0::2], head[1::2]),
    ):
        if len(source) % 2 == 0 and half and most_zeros.count(0) > 0.7 * half and few_zeros.count(0) == 0:
            return encoding
    return None


def _likely(source: bytes, wrong_at: int, name: str) -> str:
    # Slow to import, and most files are UTF-8. What it sees has to have what isn't ASCII in it.
    from charset_normalizer import from_bytes

    begin = max(0, wrong_at - _LOOKED_AT // 2)
    found = from_bytes(source[begin : begin + _LOOKED_AT]).best()
    if found is None:
        raise is_binary(name)
    return str(found.encoding).replace("_", "-")


def _in(source: bytes, encoding: str, name: str) -> str:
    try:
        return source.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{name} is not text in {encoding}: byte {error.start} can't be read",
            hint="save it as UTF-8",
            details={"name": name, "encoding": encoding},
        ) from None
