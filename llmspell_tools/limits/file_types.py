"""What a file's beginning says it is, held against the end of its name. Knows well-known beginnings, and no more.

A name that claims nothing (no extension, or one that is not in the table) goes with every content; text has no
beginning of its own, but a file of text does not begin as a picture or a program does.
"""

from __future__ import annotations

HEAD_BYTES = 64
"""How much of a file is looked at."""

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_BEGINNINGS: tuple[tuple[str, tuple[bytes, ...], frozenset[str]], ...] = (
    ("PNG picture", (b"\x89PNG\r\n\x1a\n",), frozenset({"png"})),
    ("JPEG picture", (b"\xff\xd8\xff",), frozenset({"jpg", "jpeg"})),
    ("GIF picture", (b"GIF87a", b"GIF89a"), frozenset({"gif"})),
    ("TIFF picture", (b"II*\0", b"MM\0*"), frozenset({"tif", "tiff"})),
    ("PDF document", (b"%PDF-",), frozenset({"pdf"})),
    ("ZIP archive", _ZIP, frozenset({"zip", "docx", "xlsx", "pptx", "odt", "ods", "odp", "epub", "jar", "whl"})),
    ("gzip archive", (b"\x1f\x8b",), frozenset({"gz", "tgz"})),
    ("bzip2 archive", (b"BZh",), frozenset({"bz2", "tbz2"})),
    ("xz archive", (b"\xfd7zXZ\0",), frozenset({"xz", "txz"})),
    ("Zstandard archive", (b"\x28\xb5\x2f\xfd",), frozenset({"zst"})),
    ("7-Zip archive", (b"7z\xbc\xaf\x27\x1c",), frozenset({"7z"})),
    ("SQLite database", (b"SQLite format 3\0",), frozenset({"sqlite", "sqlite3"})),
    ("FLAC recording", (b"fLaC",), frozenset({"flac"})),
    ("Ogg recording", (b"OggS",), frozenset({"ogg", "oga", "ogv", "opus"})),
    ("Matroska video", (b"\x1a\x45\xdf\xa3",), frozenset({"mkv", "webm"})),
    ("Parquet table", (b"PAR1",), frozenset({"parquet"})),
    ("ELF program", (b"\x7fELF",), frozenset({"so", "o", "elf"})),
    (
        "Mach-O program",
        (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xfe\xed\xfa\xce"),
        frozenset({"dylib", "o"}),
    ),
)
_TEXT = frozenset(
    (
        *("bib", "c", "cfg", "conf", "cpp", "css", "csv", "go", "h", "htm", "html", "ini", "java", "js", "json"),
        *("jsonl", "log", "lua", "markdown", "md", "py", "rb", "rs", "rst", "sh", "sql", "svg", "tex", "toml", "ts"),
        *("tsv", "txt", "xml", "yaml", "yml"),
    )
)
_KNOWN = frozenset().union(*(extensions for _, _, extensions in _BEGINNINGS))


def mismatch(name: str, head: bytes) -> str | None:
    """Why a file that begins so can't have this name; None where the two go together. An empty file has any name."""
    extension = extension_of(name)
    if not head or extension not in _KNOWN | _TEXT:
        return None
    found = next((one for one in _BEGINNINGS if head.startswith(one[1])), None)
    if extension in _TEXT:
        return None if found is None or _is_text(head) else f"its content is that of a {found[0]}"
    if found is not None:
        return None if extension in found[2] else f"its content is that of a {found[0]}"
    wanted = next(kind for kind, _, extensions in _BEGINNINGS if extension in extensions)
    return f"its content is not that of a {wanted}"


def _is_text(head: bytes) -> bool:
    """Whether there is nothing in it but text: a beginning such as BZh may be a word."""
    return not any(byte < 9 or byte > 126 or 13 < byte < 32 for byte in head)


def extension_of(name: str) -> str:
    """The end of a file's name after its last dot, in small letters; empty where a name has none."""
    stem, dot, extension = name.rpartition(".")
    return extension.lower() if dot and stem else ""
