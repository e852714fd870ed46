"""Words of a text, and the ways of writing names with them. Knows no tool."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Mapping

_RUN = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """`helloWorld`, `hello_world`, `Hello World!` are all hello and world; `XMLParser` is XML and Parser."""
    words = []
    for run in _RUN.findall(text):
        start = 0
        for i in range(1, len(run)):
            begins = not run[i - 1].isupper() or run[i + 1 : i + 2].islower()
            if run[i].isupper() and begins:
                words.append(run[start:i])
                start = i
        words.append(run[start:])
    return words


def camel_case(text: str) -> str:
    """`helloWorld`"""
    words = words_of(text)
    return "".join([words[0].lower(), *map(str.capitalize, words[1:])]) if words else ""


CASES: Mapping[str, Callable[[str], str]] = {
    "snake_case": lambda text: "_".join(words_of(text)).lower(),
    "kebab_case": lambda text: "-".join(words_of(text)).lower(),
    "camel_case": camel_case,
    "pascal_case": lambda text: "".join(map(str.capitalize, words_of(text))),
    "title_case": lambda text: re.sub(r"[^\W_][^\s]*", lambda word: word[0][0].upper() + word[0][1:].lower(), text),
}


def wrapped(text: str, width: int) -> str:
    """Lines of at most `width` characters, broken between words where that is possible."""
    lines = []
    for line in text.splitlines():
        lines += [line] if len(line) <= width else textwrap.wrap(line, width, break_on_hyphens=False)
    return "\n".join(lines)


def dedented(text: str) -> str:
    """Without the white space that all lines begin with."""
    return textwrap.dedent(text)


def shortened(text: str, length: int, mark: str = "...") -> str:
    """At most `length` characters, with `mark` at the end where something was cut off."""
    if len(text) <= length:
        return text
    return mark[:length] if length <= len(mark) else text[: length - len(mark)] + mark


def printable(text: str) -> str:
    """Without control characters and other invisible ones; lines, tabs and spaces stay."""
    return "".join(sign for sign in text.strip(" ") if sign.isprintable() or sign in "\n\t")
