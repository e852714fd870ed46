"""What is read from a document: its text, and where in the text its parts begin. Knows no format."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmspell_protocol.errors import InvalidRequest

LONGEST_TEXT = 64_000_000
"""Characters of one document: what a file of a few bytes could expand to is bounded nowhere else."""
_NO_CHARACTERS = re.compile("[\x00\ud800-\udfff]")
"""What neither a database nor a frame can hold: NULs, and halves of characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with what belongs to it, or a definition in source code: the text from `start` to `end`."""

    start: int
    end: int
    level: int
    """1 for the outermost"""
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The text of a document. All positions are offsets of characters in `text`, in ascending order."""

    text: str
    media_type: str
    title: str | None = None
    pages: Sequence[int] = ()
    """where each page begins; empty where there are none"""
    sections: Sequence[Section] = ()
    """by where they begin; a section of a higher level lies within one of a lower"""
    blocks: Sequence[int] = ()
    """where paragraphs, lists, tables, blocks of code begin"""
    records: Sequence[int] = ()
    """where each row of a table, or each record of a list, begins"""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """what the document says of itself and how it was read: `author`, `language`, `encoding`, `warnings`, …"""


@dataclass(frozen=True, slots=True)
class Heading:
    """Where a section begins, before it is known where it ends."""

    start: int
    level: int
    title: str


def sections_of(headings: Sequence[Heading], length: int) -> list[Section]:
    """Each heading's section: up to the next of its own level or of a lower one. Levels come out without gaps."""
    found: list[Section] = []
    ends = [length] * len(headings)
    open_: list[int] = []
    depths: list[int] = []
    for at, heading in enumerate(headings):
        while open_ and headings[open_[-1]].level >= heading.level:
            ends[open_.pop()] = heading.start
        open_.append(at)
        depths.append(len(open_))
    for heading, end, depth in zip(headings, ends, depths, strict=True):
        found.append(Section(start=heading.start, end=end, level=depth, title=heading.title))
    return found


def whole_characters(text: str) -> str:
    """The text with U+FFFD in place of what can't be kept; as long as before."""
    return _NO_CHARACTERS.sub("\ufffd", text)


def demand_length(length: int, name: str) -> None:
    """Raises `InvalidRequest` where a text is longer than may be."""
    if length > LONGEST_TEXT:
        raise InvalidRequest(
            f"{name} has more than {LONGEST_TEXT:,} characters of text",
            hint="divide the document",
            details={"name": name, "limit_characters": LONGEST_TEXT},
        )
