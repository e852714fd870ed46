"""Regular expressions as a grammar of JSON text can hold a model to them.

llama.cpp's grammar takes a pattern for what stands between the quotation marks: `.` and `[^,]` then let a model write
a bare quotation mark, an escape that it does not know drops the whole pattern, a letter beyond ASCII counts as bytes.
`held` reads a pattern, leaves out what JSON would have to escape, and writes it in the few words that every grammar and
every library of regular expressions reads alike: what fits the new pattern fits the old one.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass

from llmspell_providers.schemas.characters import (
    BLANKS,
    DIGITS,
    ESCAPED,
    LINE_ENDS,
    SURROGATES,
    WORD,
    Characters,
    beside,
)

MOST_REPEATED = 1999
"""Times that something is repeated, in repetitions inside each other all together: llama.cpp reads no more."""
_MOST_EMPTY = 50
"""Times that something may be repeated that may be empty, which a grammar tries in every way."""
LONGEST = 1000
"""Characters of a pattern."""
DEEPEST_GROUPS = 30

_PLAIN = re.compile(r"\^[A-Za-z0-9 _@:/,;()\[\]{}+*?|-]*\$")
_COUNT = re.compile(r"\{(\d*)(?:(,)(\d*))?\}")
_SHORTHANDS = {"d": DIGITS, "w": WORD, "s": BLANKS}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_HEX = {"x": 2, "u": 4, "U": 8}
_BARE = frozenset(string.ascii_letters + string.digits + " _@:/,;<>=!#%&~'`-")
"""What stands for itself outside a class."""


class NotHeld(Exception):
    """Why a pattern can't be held, as a clause after the keyword."""


@dataclass(frozen=True, slots=True)
class _Chars:
    characters: Characters


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    options: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeated:
    body: _Node
    least: int
    most: int | None


_Node = _Chars | _Sequence | _Choice | _Repeated


def held(pattern: str) -> str:
    """A pattern that grammars read alike, and whose texts all fit the given one; itself where it is one already.

    Raises:
        NotHeld: it has something that can't be written so.
    """
    if len(pattern) > LONGEST:
        raise NotHeld(f"has {len(pattern):,} characters; {LONGEST:,} are read")
    reading = _Reading(pattern)
    node = reading.whole()
    weight = _weight(node)
    if weight > MOST_REPEATED:
        raise NotHeld(f"repeats something {weight:,} times; a grammar counts to {MOST_REPEATED:,}")
    if _PLAIN.fullmatch(pattern) is not None and not reading.changed:
        return pattern
    return f"^{_text(node)}$"


def repetitions(pattern: str) -> int:
    """How many rules a grammar makes of what a held pattern repeats."""
    return _rules(_Reading(pattern).whole())


class _Reading:
    """One reading of a pattern from its beginning to its end."""

    def __init__(self, pattern: str) -> None:
        if not pattern.startswith("^") or not re.search(r"(?<!\\)(\\\\)*\$\Z", pattern) or len(pattern) < 2:
            raise NotHeld("has to begin with ^ and end with $")
        self._text = pattern[1:-1]
        self._at = 0
        self._depth = 0
        self.changed = False
        """Whether the pattern says it in other words than the grammar may be given."""

    def whole(self) -> _Node:
        node = self._choice()
        if self._at < len(self._text):
            raise NotHeld("has a ) too many")
        return node

    def _peek(self, length: int = 1) -> str:
        return self._text[self._at : self._at + length]

    def _take(self, length: int = 1) -> str:
        taken = self._peek(length)
        if len(taken) < length:
            raise NotHeld("ends in the middle of something")
        self._at += length
        return taken

    def _choice(self) -> _Node:
        options = [self._sequence()]
        while self._peek() == "|":
            self._take()
            options.append(self._sequence())
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        if self._depth == 0 and self._peek() == "^" and self._text[self._at - 1 : self._at] == "|":
            self._take()  # ^a$|^b$
            self.changed = True
        while (following := self._peek()) not in ("", "|", ")"):
            if self._depth == 0 and following == "$" and self._peek(2) == "$|":
                self._take()
                self.changed = True
                break
            atom = self._atom()
            parts.append(self._repeated(atom))
        self.changed |= not parts
        return parts[0] if len(parts) == 1 else _Sequence(tuple(parts))

    def _atom(self) -> _Node:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return _Chars(self._safe(self._class()))
        if character == "\\":
            return _Chars(self._safe(self._escape()))
        if character == ".":
            return _Chars(self._safe(~LINE_ENDS))
        if character in "^$":
            raise NotHeld(f"has {character!r} in its middle")
        if character in "*+?" or (character == "{" and _COUNT.match(self._text, self._at - 1)):
            raise NotHeld(f"has {character!r} with nothing before it that could be repeated")
        self.changed |= character in "{}]"
        return _Chars(self._safe(Characters.one(character)))

    def _group(self) -> _Node:
        if self._peek() == "?":
            if self._peek(2) != "?:":
                raise NotHeld(f"has {'(' + self._peek(2)!r}, which grammars do not know")
            self._take(2)
        self._depth += 1
        if self._depth > DEEPEST_GROUPS:
            raise NotHeld(f"has more than {DEEPEST_GROUPS} groups inside each other")
        node = self._choice()
        self._depth -= 1
        if self._peek() != ")":
            raise NotHeld("has a ( too many")
        self._take()
        return node

    def _repeated(self, atom: _Node) -> _Node:
        counted = _COUNT.match(self._text, self._at)
        if counted is not None and counted.group() not in ("{}", "{,}"):
            low, comma, high = counted.groups()
            self._at = counted.end()
            least = _number(low) if low else 0
            most = (_number(high) if high else None) if comma else least
            self.changed |= not low
        elif self._peek() in ("*", "+", "?") and self._peek():
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[self._take()]
        else:
            return atom
        if most is not None and least > most:
            raise NotHeld(f"repeats something at least {least} and at most {most} times")
        if self._peek() == "?":
            self._take()  # that as few as possible are taken changes nothing in what fits as a whole
            self.changed = True
        if self._peek() in ("*", "+", "?") and self._peek():
            raise NotHeld(f"has {self._peek()!r} after a repetition")
        if _COUNT.match(self._text, self._at):
            raise NotHeld("has a repetition of a repetition without a group")
        if most is not None and most > _MOST_EMPTY and _may_be_empty(atom):
            raise NotHeld(f"repeats something {most} times that may be empty")
        return _Repeated(atom, least, most)

    def _class(self) -> Characters:
        is_negated = self._peek() == "^"
        if is_negated:
            self._take()
        if self._peek() == "]":
            raise NotHeld("has a [ followed by ], which is read in two ways")
        characters = Characters(())
        while self._peek() != "]":
            low, one = self._member(excluded=is_negated)
            if self._peek() == "-" and self._peek(2) not in ("-", "-]"):
                self._take()
                high, _ = self._member(excluded=is_negated)
                if low is None or high is None or low > high:
                    raise NotHeld("has a range in a class that has no end or no beginning")
                one = Characters(((ord(low), ord(high)),))
            characters |= one
        self._take()
        return ~characters if is_negated else characters

    def _member(self, *, excluded: bool) -> tuple[str | None, Characters]:
        """A character of a class, and what it stands for; a shorthand is none."""
        character = self._take()
        if character != "\\":
            return character, Characters.one(character)
        characters = self._escape(excluded=excluded)
        return characters.only, characters

    def _escape(self, *, excluded: bool = False) -> Characters:
        self.changed = True
        kind = self._take()
        shorthand = kind.lower()
        if shorthand in _SHORTHANDS:
            # Where dialects differ the smaller set is taken, and in a class that excludes the larger one.
            inside, outside = _SHORTHANDS[shorthand], beside(shorthand)
            taken, other = (inside, outside) if kind == shorthand else (outside, inside)
            return ~other if excluded else taken
        if kind in _HEX:
            digits = self._take(_HEX[kind])
            if not re.fullmatch(r"[0-9A-Fa-f]+", digits) or int(digits, 16) > 0x10FFFF:
                raise NotHeld(f"has '\\{kind}' without its digits")
            return Characters.one(chr(int(digits, 16)))
        if kind in _CONTROLS and not (kind == "0" and self._peek().isdigit()):
            return Characters.one(_CONTROLS[kind])
        if kind in string.ascii_letters + string.digits or ord(kind) > 0x7F:
            raise NotHeld(f"has '\\{kind}', which grammars do not know")
        return Characters.one(kind)

    def _safe(self, characters: Characters) -> Characters:
        """Without what JSON would have to escape."""
        safe = characters - ESCAPED
        if not safe:
            shown = characters.only
            raise NotHeld(
                f"demands {shown!r}, which JSON can only write escaped"
                if shown is not None and shown not in SURROGATES
                else "has a class that nothing fits but what JSON can only write escaped"
            )
        if safe != characters:
            self.changed = True
        return safe


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 10 else 10**9


def _may_be_empty(node: _Node) -> bool:
    match node:
        case _Chars():
            return False
        case _Sequence(parts):
            return all(_may_be_empty(part) for part in parts)
        case _Choice(options):
            return any(_may_be_empty(option) for option in options)
        case _Repeated(body, least, _):
            return least == 0 or _may_be_empty(body)


def _weight(node: _Node) -> int:
    """How many times something is repeated at most, as far as it is counted."""
    match node:
        case _Chars():
            return 1
        case _Sequence(parts) | _Choice(parts):
            return max((_weight(part) for part in parts), default=1)
        case _Repeated(body, least, most):
            return max(least, most or 0, 1) * _weight(body)


def _rules(node: _Node) -> int:
    match node:
        case _Chars():
            return 0
        case _Sequence(parts) | _Choice(parts):
            return sum(_rules(part) for part in parts)
        case _Repeated(body, least, most):
            return max(least, most or 0) + _rules(body)


def _text(node: _Node, *, as_unit: bool = False) -> str:
    """The pattern of a node; `as_unit`: so that a repetition after it repeats the whole."""
    match node:
        case _Chars(characters):
            only = characters.only
            return only if only is not None and not as_unit and _is_bare(only) else _class_text(characters)
        case _Sequence(parts):
            text = "".join(f"({_text(part)})" if isinstance(part, _Choice) else _text(part) for part in parts)
            return f"({text})" if as_unit else text
        case _Choice(options):
            texts = [_text(option) for option in options]
            filled = "|".join(text for text in texts if text)
            if "" in texts:
                return f"(({filled})?)" if as_unit else f"({filled})?" if filled else ""
            return f"({filled})"
        case _Repeated(body, least, most):
            if most == 0 or not _text(body):
                return ""
            text = _text(body, as_unit=True) + _count_text(least, most)
            return f"({text})" if as_unit else text


def _count_text(least: int, most: int | None) -> str:
    if most is None:
        return {0: "*", 1: "+"}.get(least, f"{{{least},}}")
    if (least, most) == (0, 1):
        return "?"
    return f"{{{least}}}" if least == most else f"{{{least},{most}}}"


def _is_bare(character: str) -> bool:
    return character in _BARE or ord(character) > 0x7F


def _class_text(characters: Characters) -> str:
    intervals = characters.intervals
    negation = ""
    if characters.is_open:
        negation, intervals = "^", (~(characters | SURROGATES)).intervals
    members = "".join(
        _member_text(low) if low == high else f"{_member_text(low)}-{_member_text(high)}" for low, high in intervals
    )
    return f"[{negation}{members}]"


def _member_text(code: int) -> str:
    return chr(code) if code > 0x7F or chr(code).isalnum() else f"\\x{code:02X}"
