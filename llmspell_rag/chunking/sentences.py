"""Where sentences begin, in any language: by the rules and abbreviations of the library sentencex."""

from __future__ import annotations

import re

from llmspell_rag.libraries import library

_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
_LANGUAGE = re.compile(r"[a-z]{2,3}")


def sentences(text: str, language: str | None = None) -> list[int]:
    """Where sentences and paragraphs begin; `language` is that of the document (`de`, `en-GB`), if it says one.

    Raises:
        Unsupported: the library isn't installed.
    """
    segment = library("sentencex", "sentencex", "finding sentences").segment
    code = _LANGUAGE.match((language or "").lower())
    found: list[int] = []
    begin = 0
    ends = [(match.start(), match.end()) for match in _BLANK_LINES.finditer(text)]
    for end, after in [*ends, (len(text), len(text))]:
        at = begin
        for sentence in segment(code[0] if code is not None else "en", text[begin:end]):
            # White space that it makes less of is skipped.
            shown = sentence.strip()
            place = text.find(shown, at, end) if shown else -1
            if place >= 0:
                found.append(_with_indentation(text, place))
                at = place + len(shown)
        begin = after
    return found


def _with_indentation(text: str, place: int) -> int:
    """The beginning of the line, if a sentence is the first in it."""
    line = place
    while line > 0 and text[line - 1] in " \t":
        line -= 1
    return line if line == 0 or text[line - 1] in "\r\n" else place
