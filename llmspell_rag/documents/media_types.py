"""What kind a document is: by the type its sender gives, by the end of its name, by its first bytes."""

from __future__ import annotations

from collections.abc import Mapping
from email.message import Message

PLAIN = "text/plain"
MARKDOWN = "text/markdown"
HTML = "text/html"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
CSV = "text/csv"
TSV = "text/tab-separated-values"
JSON = "application/json"
JSON_LINES = "application/jsonl"
_CODE = "text/x-"

CODE_ENDINGS: Mapping[str, str] = {
    "bash": "sh", "c": "c", "cc": "cpp", "cjs": "javascript", "cpp": "cpp", "cs": "c-sharp", "cxx": "cpp",
    "go": "go", "h": "c", "hh": "cpp", "hpp": "cpp", "java": "java", "js": "javascript", "jsx": "javascript",
    "lua": "lua", "mjs": "javascript", "php": "php", "py": "python", "pyi": "python", "rb": "ruby", "rs": "rust",
    "sh": "sh", "ts": "typescript", "tsx": "tsx",
    # Without a grammar: cut at blank lines and by indentation.
    "asm": "asm", "clj": "clojure", "css": "css", "dart": "dart", "elm": "elm", "erl": "erlang", "ex": "elixir",
    "exs": "elixir", "f90": "fortran", "groovy": "groovy", "hs": "haskell", "jl": "julia", "kt": "kotlin",
    "m": "objective-c", "ml": "ocaml", "nim": "nim", "pl": "perl", "proto": "protobuf", "ps1": "powershell",
    "r": "r", "scala": "scala", "scm": "scheme", "sql": "sql", "swift": "swift", "vim": "vim", "vue": "vue",
    "zig": "zig", "zsh": "sh",
}  # fmt: skip
"""Ends of names of source code, and the language; its media type is `text/x-LANGUAGE`."""
_ENDINGS: Mapping[str, str] = {
    "txt": PLAIN, "text": PLAIN, "log": PLAIN, "rst": PLAIN, "adoc": PLAIN, "org": PLAIN, "tex": PLAIN, "bib": PLAIN,
    "srt": PLAIN, "vtt": PLAIN, "ini": PLAIN, "cfg": PLAIN, "conf": PLAIN, "toml": PLAIN, "yaml": PLAIN, "yml": PLAIN,
    "xml": PLAIN, "properties": PLAIN,
    "md": MARKDOWN, "markdown": MARKDOWN, "mdx": MARKDOWN,
    "html": HTML, "htm": HTML, "xhtml": HTML,
    "pdf": PDF, "docx": DOCX, "docm": DOCX,
    "csv": CSV, "tsv": TSV, "tab": TSV,
    "json": JSON, "geojson": JSON, "jsonl": JSON_LINES, "ndjson": JSON_LINES,
}  # fmt: skip
_NAMES = frozenset({"authors", "changelog", "copying", "dockerfile", "license", "makefile", "news", "notice", "readme"})
"""Files without an ending that are text by custom."""
_SAME: Mapping[str, str] = {
    "application/xhtml+xml": HTML, "text/x-markdown": MARKDOWN, "application/x-ndjson": JSON_LINES,
    "application/jsonlines": JSON_LINES, "application/x-jsonlines": JSON_LINES, "text/json": JSON,
    "application/csv": CSV, "application/x-pdf": PDF, "text/javascript": "text/x-javascript",
    "application/javascript": "text/x-javascript", "application/typescript": "text/x-typescript",
    "application/x-sh": "text/x-sh",
}  # fmt: skip
_VAGUE = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/binary", PLAIN})
"""What senders say of everything: the name knows better."""


def of(name: str, said: str | None = None, head: bytes = b"") -> str:
    """The media type of a document, without parameters: plain text where nothing says otherwise."""
    told = _plain_type(said)
    if told not in _VAGUE:
        return told
    by_name = of_name(name)
    if head.startswith(b"%PDF-"):
        return PDF
    if head.startswith(b"PK\x03\x04") and by_name is None:
        return DOCX if b"word/" in head or b"[Content_Types]" in head else "application/zip"
    if by_name is not None:
        return by_name
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return HTML
    return PLAIN


def of_name(name: str) -> str | None:
    """The media type that a name's end stands for; None where it stands for none that can be read."""
    base = name.rpartition("/")[2].lower()
    stem, dot, ending = base.rpartition(".")
    if not dot or not stem:
        return PLAIN if base in _NAMES else None
    if ending in _ENDINGS:
        return _ENDINGS[ending]
    language = CODE_ENDINGS.get(ending)
    return None if language is None else _CODE + language


def language_of(media_type: str) -> str | None:
    """The programming language of source code; None for what is none."""
    return media_type.removeprefix(_CODE) if media_type.startswith(_CODE) else None


def charset_of(said: str | None) -> str | None:
    """The encoding in a media type's parameters (`text/html; charset=utf-8`)."""
    charset = _message(said).get_param("charset") if said else None
    return charset.strip() or None if isinstance(charset, str) else None


def _plain_type(said: str | None) -> str:
    word = (said or "").partition(";")[0].strip().lower()
    if word.endswith("+json"):
        return JSON
    return _SAME.get(word, word)


def _message(said: str) -> Message:
    message = Message()
    message["content-type"] = said
    return message
