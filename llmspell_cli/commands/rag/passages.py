"""A passage as people read it: where it stands, how well it fits, and what it says. Lines, not how they are printed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator

from llmspell_cli.session import Content
from llmspell_cli.terminal.output import BOLD, Output, room
from llmspell_cli.terminal.text import home_path, wrapped
from llmspell_cli.terminal.visible import visible, visible_lines

_EXCERPT = 240
"""Characters of a passage that is not shown whole."""
_BEFORE = 40
"""Of them before the first word that was looked for."""
_INDENT = "    "
_FENCE = re.compile(r"(?m)^[ \t]*(```|~~~).*$")
"""What says nothing in a line."""
_HEADING = re.compile(r"(?m)^#{1,6}[ \t]+(.*\w)\W*$")


def show_passage(output: Output, number: int, hit: Content, query: str, *, full: bool, verbose: bool) -> None:
    """A passage: where it stands, and its text or a piece of it around the words of the query."""
    width = room(sys.stdout)
    head = f"[{number}] {place_of(hit)}  {hit['score']:.2f}"
    first, *rest = [head] if width is None else wrapped(visible(head), width)
    output.shown_line(output.emphasis(visible(first), BOLD))
    for line in rest:
        output.shown_line(output.emphasis(_INDENT + line, BOLD))
    if verbose:
        output.line(_INDENT + details(hit))
    text = visible_lines(hit["text"]).strip("\n") if full else excerpt(hit["text"], query)
    for line in text.split("\n"):
        indented = f"{_INDENT}{line}".rstrip()
        for piece in [indented] if width is None else wrapped(indented, width):
            output.shown_line(piece)


def place_of(hit: Content) -> str:
    """`Tides: docs/tides.md:12, High water`, as far as it is known."""
    source = short_source(hit["source"])
    title = hit["title"]
    name = title if title and title not in (source, os.path.basename(source)) else ""
    where = source or ("" if name else hit["document"])
    page, line = hit["page"], hit["line"]
    # A page has its own number, and lines of a web page's text stand nowhere but here.
    beside = ""
    if page is not None:
        beside = f"page {page}"
    elif line is not None and line > 1 and not source:
        beside = f"line {line}"
    elif line is not None and source and not is_address(source):
        where = f"{where}:{line}"
    section = hit["section"] if hit["section"] != name else ""
    parts = (f"{name}: {where}" if name and where else name or where, beside, section)
    return ", ".join(part for part in parts if part)


def is_address(source: str) -> bool:
    """Whether a source is a page of the web."""
    return "://" in source


def short_source(source: str | None) -> str:
    """A path as it is shortest from here, or an address."""
    if not source or is_address(source):
        return source or ""
    here = os.path.join(os.path.abspath(os.curdir), "")
    return source.removeprefix(here) if source.startswith(here) else home_path(source)


def details(hit: Content) -> str:
    """What else is known of a hit: its id, its tokens, and how it was found."""
    ranks = [
        f"{way} {rank}"
        for way, rank in (("by words", hit["by_words"]), ("by meaning", hit["by_vectors"]))
        if rank is not None
    ]
    found = f", {' and '.join(ranks)}" if ranks else ""
    metadata = ", ".join(f"{key}={value}" for key, value in hit["metadata"].items())
    return f"{hit['id']}, {hit['tokens']} tokens{found}{f'; {metadata}' if metadata else ''}"


def excerpt(text: str, query: str, length: int = _EXCERPT) -> str:
    """A piece of a passage as one line: where most of the query's words stand together, else its beginning."""
    line = " ".join(_HEADING.sub(r"\1:", _FENCE.sub("", text)).split())
    if len(line) <= length:
        return visible(line)
    start = _best_start(line, query, length)
    end = start + length
    if start:
        start = line.find(" ", start) + 1
    if end < len(line):
        end = max(line.rfind(" ", start, end), start + 1)
    return visible(f"{'… ' * (start > 0)}{line[start:end]}{' …' * (end < len(line))}")


def _best_start(line: str, query: str, length: int) -> int:
    found = list(_words(line, query))
    best, most = 0, 0
    for at, (begin, _) in enumerate(found):
        words = {word for other, word in found[at:] if other + len(word) <= begin + length - _BEFORE}
        if len(words) > most:
            best, most = begin, len(words)
    return min(max(0, best - _BEFORE), len(line) - length)


def _words(line: str, query: str) -> Iterator[tuple[int, str]]:
    """Where the words of the query stand."""
    words = {word for word in re.findall(r"\w+", query.casefold()) if len(word) > 2}
    for found in re.finditer(r"\w+", line):
        if found[0].casefold() in words:
            yield found.start(), found[0].casefold()
