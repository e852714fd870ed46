"""Lua's tokens, of code that is being written: what may be open at its end, and what stands at a place in it.

Knows the form of the language, and neither values nor names that there are. What is no Lua is read as far as it goes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["comment", "string", "name", "number", "operator"]

LONGEST = 50_000
"""Of longer code the last characters are looked at, so that no question about it holds its context for long."""

_TOKEN = re.compile(
    r"""
    (?P<comment> --\[(?P<of_comment>=*)\[ .*? (?:\](?P=of_comment)\]|\Z) | --[^\n]* )
  | (?P<string> \[(?P<of_string>=*)\[ .*? (?:\](?P=of_string)\]|\Z)
              | " (?: \\. | [^"\\\n] )* (?:"|\\?(?=\n)|\\?\Z) | ' (?: \\. | [^'\\\n] )* (?:'|\\?(?=\n)|\\?\Z) )
  | (?P<name> [A-Za-z_]\w* )
  | (?P<number> 0[xX][\da-fA-F.]*(?:[pP][+-]?\d+)? | (?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)? )
  | (?P<operator> \.\.\. | \.\. | == | ~= | <= | >= | // | :: | << | >> | \S )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_LONG_BRACKET = re.compile(r"(?:--)?\[(=*)\[")

KEYWORDS = frozenset(
    (
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local"),
        *("nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    )
)
OPENING = {"(": ")", "{": "}", "[": "]"}
CLOSING = {closing: opening for opening, closing in OPENING.items()}
_ENDS = {"end": ("function", "if", "do"), "until": ("repeat",)}
_BLOCKS = frozenset(one for openings in _ENDS.values() for one in openings)
_ESCAPE = re.compile(r"\\(?:z\s*|(\d{1,3})|x([\da-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Token(NamedTuple):
    """One token; `start` and `end` are characters of the code, `closed` False for a string or comment without end."""

    kind: Kind
    text: str
    start: int
    end: int
    closed: bool = True

    @property
    def is_identifier(self) -> bool:
        """Whether it names something: a keyword doesn't."""
        return self.kind == "name" and self.text not in KEYWORDS

    @property
    def is_value_end(self) -> bool:
        """Whether what stands here can be called or indexed."""
        return self.is_identifier or self.kind == "string" or self.text in (")", "]")


def tokens(code: str) -> list[Token]:
    """The tokens of the code, comments among them; of what is longer than `LONGEST` those of its end."""
    start = 0
    if len(code) > LONGEST:
        line = code.find("\n", len(code) - LONGEST)
        start = len(code) - LONGEST if line < 0 else line + 1
    found: list[Token] = []
    for match in _TOKEN.finditer(code, start):
        kind: Kind = match.lastgroup  # type: ignore[assignment]  # the names of the groups are the kinds
        text = match[0]
        found.append(Token(kind, text, match.start(), match.end(), kind not in _OPEN or _is_closed(kind, text)))
    return found


_OPEN = ("comment", "string")


def _is_closed(kind: str, text: str) -> bool:
    bracket = _LONG_BRACKET.match(text)
    if bracket is not None:
        return text.endswith(f"]{bracket[1]}]") and len(text) >= bracket.end() + len(bracket[1]) + 2
    if kind == "comment":
        return False  # It goes on to the end of its line.
    body = text[1:]
    return body.endswith(text[0]) and (len(body) - len(body[:-1].rstrip("\\"))) % 2 == 1


def is_long(token: Token) -> bool:
    """Whether it is a string or comment in long brackets."""
    return _LONG_BRACKET.match(token.text) is not None


def string_value(token: Token) -> str:
    """What a string token holds; of one that isn't closed what there is of it."""
    bracket = _LONG_BRACKET.match(token.text)
    if bracket is not None:
        end = len(token.text) - (len(bracket[1]) + 2 if token.closed else 0)
        return token.text[bracket.end() : end].removeprefix("\n")
    body = token.text[1:-1] if token.closed else token.text[1:]
    return _ESCAPE.sub(_unescaped, body) if "\\" in body else body


def string_start(token: Token) -> int:
    """Where the content of a string token begins in the code."""
    bracket = _LONG_BRACKET.match(token.text)
    return token.start + (1 if bracket is None else bracket.end())


def _unescaped(found: re.Match[str]) -> str:
    decimal, hexadecimal, other = found.groups()
    if decimal is not None:
        return chr(min(int(decimal), 255))
    if hexadecimal is not None:
        return chr(int(hexadecimal, 16))
    return "" if other is None else _ESCAPED.get(other, other)


class Open(NamedTuple):
    """A bracket or block that is not closed: its token, and its place among the tokens."""

    token: Token
    place: int


def still_open(found: Sequence[Token]) -> list[Open]:
    """The brackets and blocks that are open behind the tokens, outermost first."""
    stack: list[Open] = []
    counts: Counter[str] = Counter()
    for place, token in enumerate(found):
        text = token.text
        if (token.kind == "operator" and text in OPENING) or (token.kind == "name" and text in _BLOCKS):
            stack.append(Open(token, place))
            counts[text] += 1
        elif (token.kind == "operator" and text in CLOSING) or (token.kind == "name" and text in _ENDS):
            openings = _ENDS.get(text) or (CLOSING[text],)
            # What stands open in it by mistake goes with it; what closes nothing is passed over.
            while any(counts[one] for one in openings):
                ended = stack.pop().token.text
                counts[ended] -= 1
                if ended in openings:
                    break
    return stack
