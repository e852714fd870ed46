"""How models' names become names of directories and files, and when two names mean the same model. Touches no disk."""

from __future__ import annotations

import functools
import hashlib
from urllib.parse import quote, unquote

from llmspell_protocol.errors import InvalidRequest
from llmspell_providers.spec import ModelSpec

NO_VARIANT = "default"
"""What the directory of a model without a variant is called."""
LONGEST_SEGMENT_BYTES = 200
"""Of a name as it stands on the disk, in UTF-8; file systems take 255, and pulls and logs add to it."""
_SAFE = " +=@,()[]"
_HASH_DIGITS = 16
_RESERVED = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))})
"""Names that a disk of Windows, which WSL sees, takes for devices, with any ending."""


def segment(text: str) -> str:
    """A name as one path segment: reversible (`unsegment`), never `.`, `..` or hidden, no separator.

    Letters of any script stay as they are; what could mean something to a file system is escaped.

    Raises:
        InvalidRequest: the name is empty, no text, or longer than `LONGEST_SEGMENT_BYTES` in UTF-8.
    """
    escaped = _escaped(text)
    if not escaped:
        raise InvalidRequest("a model's name is empty")
    length = len(escaped.encode())
    if length > LONGEST_SEGMENT_BYTES:
        raise InvalidRequest(
            f"'{text[:40]}…' is too long for a model's name: {length} bytes in UTF-8, of at most"
            f" {LONGEST_SEGMENT_BYTES}",
            hint="choose a shorter name",
            details={"bytes": length, "limit": LONGEST_SEGMENT_BYTES},
        )
    return escaped


def short_segment(text: str) -> str:
    """As `segment` for a name of any length: of a long one the beginning and its sum, so that it can't be turned back.

    Raises:
        InvalidRequest: the name is no text.
    """
    escaped = _escaped(text) or "%"
    if len(escaped.encode()) <= LONGEST_SEGMENT_BYTES:
        return escaped
    digest = hashlib.sha256(escaped.encode()).hexdigest()[:_HASH_DIGITS]
    beginning = escaped.encode()[: LONGEST_SEGMENT_BYTES - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{beginning}-{digest}"


def earlier_segment(text: str) -> str:
    """How earlier versions wrote a name, which escaped every letter beyond ASCII."""
    escaped = quote(text, safe=_SAFE, errors="replace")
    return f"%2E{escaped[1:]}" if escaped.startswith(".") else escaped


def unsegment(name: str) -> str:
    """The name that a path segment stands for."""
    return normalized(unquote(as_text(name), errors="replace"))


def as_text(path: str) -> str:
    """A path as a message can carry it: what is not UTF-8 in it is replaced."""
    return path.encode(errors="surrogateescape").decode(errors="replace")


def normalized(text: str) -> str:
    """The same text in the form that all spellings of it have in common (NFC)."""
    if text.isascii():
        return text
    # Most names need none of it.
    from unicodedata import normalize

    return normalize("NFC", text)


@functools.lru_cache(1024)
def folded(text: str) -> str:
    """What two names have in common that mean the same model: letters in one case and one form."""
    return normalized(normalized(text).casefold())


def spec_name(spec: ModelSpec) -> str:
    """What a model of this spec is called in the store, without its variant."""
    model = "".join("-" if letter in ":@/\\" or letter.isspace() else letter for letter in spec.model)
    return normalized(f"{spec.provider}/{model}" if spec.provider else model)


def _escaped(text: str) -> str:
    text = normalized(text)
    try:
        escaped = "".join(letter if _is_plain(letter) else quote(letter, safe=_SAFE) for letter in text)
    except UnicodeEncodeError:
        raise InvalidRequest(
            "a model's name holds half a character, which is not text in UTF-8", hint="write the name in UTF-8"
        ) from None
    if escaped.startswith("."):
        escaped = f"%2E{escaped[1:]}"
    if escaped.endswith((".", " ")):
        escaped = f"{escaped[:-1]}{'%2E' if escaped.endswith('.') else '%20'}"
    if escaped.partition(".")[0].rstrip().upper() in _RESERVED:
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    return escaped


def _is_plain(letter: str) -> bool:
    return not letter.isascii() and letter.isprintable()
