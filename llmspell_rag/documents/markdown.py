"""Markdown: the text stays the source; headings, blocks and what stands at its top are found by a parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llmspell_rag.documents.encodings import decoded
from llmspell_rag.documents.text import Heading, Section, Text, sections_of, whole_characters
from llmspell_rag.libraries import library

_FRONT = re.compile(r"---[ \t]*(?:\r\n?|\n)(.*?)^(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)", re.DOTALL | re.MULTILINE)
_FRONT_LINE = re.compile(r"^([A-Za-z][\w-]{0,40}):[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_LONGEST_VALUE = 1000
_MOST_VALUES = 50
_LINE_END = re.compile(r"\r\n?|\n")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_MARKS = re.compile(r"[*`]|(?<!\w)_+|_+(?!\w)")
_BLOCKS_WITHIN = frozenset({"list_item_open", "tr_open"})


def read(source: bytes, name: str, media_type: str, charset: str | None) -> Text:
    """The source with its sections and blocks; `key: value` lines at the top are metadata.

    Raises:
        InvalidRequest: it is no text.
        Unsupported: the parser isn't installed.
    """
    text, encoding = decoded(source, name, charset)
    text = whole_characters(text)
    front = _FRONT.match(text)
    metadata: dict[str, Any] = {"encoding": encoding}
    if front is not None:
        found = _FRONT_LINE.findall(front[1])[:_MOST_VALUES]
        metadata |= {key.lower(): value.strip("\"'")[:_LONGEST_VALUE] for key, value in found}
    sections, blocks = structure(text, front.end() if front is not None else 0)
    title = metadata.pop("title", None)
    if title is None:
        title = next((one.title for one in sections if one.level == 1), None)
    return Text(text=text, media_type=media_type, title=title, sections=sections, blocks=blocks, metadata=metadata)


def structure(text: str, begin: int = 0) -> tuple[Sequence[Section], Sequence[int]]:
    """The sections of a Markdown text, and where its blocks begin: those of the outermost level, items and rows.

    Raises:
        Unsupported: the parser isn't installed.
    """
    parser = library("markdown_it", "markdown-it-py", "reading Markdown").MarkdownIt("commonmark").enable("table")
    # What stands within a line is of no interest, and takes most of the time.
    parser.core.ruler.enableOnly(["normalize", "block"])
    lines = [begin, *(match.end() for match in _LINE_END.finditer(text, begin))]
    headings: list[Heading] = []
    blocks: list[int] = []
    tokens = parser.parse(text[begin:])
    for at, token in enumerate(tokens):
        if token.map is None or token.nesting < 0:
            continue
        start = lines[token.map[0]]
        if (token.level == 0 or token.type in _BLOCKS_WITHIN) and (not blocks or start > blocks[-1]):
            blocks.append(start)
        if token.type == "heading_open" and token.level == 0:
            headings.append(Heading(start, int(token.tag[1:]), _shown(tokens[at + 1].content)))
    return sections_of(headings, len(text)), blocks


def _shown(content: str) -> str:
    """A heading's text without marks and targets of links."""
    return " ".join(_MARKS.sub("", _LINK.sub(r"\1", content)).split())
