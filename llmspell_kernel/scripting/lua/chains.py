"""Chains of names, indexes and calls in code: `Agent.builder():model("x")`, `rows[1].name`. Knows no values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llmspell_kernel.scripting.lua.tokens import CLOSING, OPENING, Token, string_value

Key = str | int
"""A name or index of a table's field."""


class Step(NamedTuple):
    """One step: a field, and whether what it leads to is called."""

    key: Key
    called: bool = False


class Chain(NamedTuple):
    """The steps from a global or local name on; `begins` is the first token's place. `is_text`: it is a string."""

    steps: Sequence[Step]
    begins: int
    is_text: bool = False

    @property
    def names(self) -> list[Key] | None:
        """The fields alone, where nothing is called."""
        return None if any(step.called for step in self.steps) else [step.key for step in self.steps]


def chain_to(found: Sequence[Token], end: int) -> Chain | None:
    """The chain whose last token has this place; None where none ends there."""
    steps: list[Step] = []  # The last one first.
    called = False
    at = end
    while at >= 0:
        token = found[at]
        if token.is_identifier:
            steps.append(Step(token.text, called))
            called = False
            if at < 2 or not _is_separator(found[at - 1]):
                return Chain(steps[::-1], at)
            at -= 2
        elif token.kind == "string":
            if at and found[at - 1].is_value_end and not called:
                called, at = True, at - 1
            else:
                return None if called else Chain(steps[::-1], at, is_text=True)
        elif token.text in (")", "}"):
            opened = opening(found, at)
            if opened is None or called:
                return None
            if opened and found[opened - 1].is_value_end:
                called, at = True, opened - 1
            elif token.text == ")" and at - opened == 2 and found[opened + 1].kind == "string":
                return Chain(steps[::-1], opened, is_text=True)
            else:
                return None
        elif token.text == "]":
            opened = opening(found, at)
            key = None if opened is None or at - opened != 2 else _constant(found[opened + 1])
            if opened is None or key is None:
                return None
            steps.append(Step(key, called))
            called, at = False, opened - 1
        else:
            return None
    return None


def chain_before(found: Sequence[Token], separator: int) -> Chain | None:
    """The chain in front of the `.` or `:` at this place."""
    return chain_to(found, separator - 1) if separator else None


def last_assigned(found: Sequence[Token], name: str) -> tuple[Chain, bool] | None:
    """What the name was given last in the code, where that is a chain, and whether it is a local variable there."""
    for at in range(len(found) - 2, -1, -1):
        if found[at].text != name or found[at + 1].text != "=" or not found[at].is_identifier:
            continue
        if at and (_is_separator(found[at - 1]) or found[at - 1].text in ("{", ",", ";")):
            continue
        is_local = at > 0 and found[at - 1].text == "local"
        end = _chain_end(found, at + 2)
        chain = None if end is None else chain_to(found, end)
        return None if chain is None or chain.begins != at + 2 else (chain, is_local)
    return None


def _chain_end(found: Sequence[Token], at: int) -> int | None:
    """The last token of the chain that begins here."""
    if at >= len(found) or not found[at].is_identifier:
        return None
    while at + 1 < len(found):
        following = found[at + 1]
        if _is_separator(following) and at + 2 < len(found) and found[at + 2].is_identifier:
            at += 2
        elif following.kind == "string":
            at += 1
        elif following.text in OPENING:
            closed = closing(found, at + 1)
            if closed is None:
                return None
            at = closed
        else:
            break
    return at


def local_names(found: Sequence[Token]) -> set[str]:
    """The names of local variables, parameters and loops in the code, whatever block they belong to."""
    names: set[str] = set()
    for at, token in enumerate(found):
        if token.text in ("local", "for") and token.kind == "name":
            index = at + 1
            if index < len(found) and found[index].text == "function":
                index += 1
            names |= _listed(found, index)
        elif token.text == "function" and token.kind == "name":
            index = at + 1
            while index < len(found) and found[index].text != "(" and index - at < 20:
                index += 1
            names |= _listed(found, index + 1)
    return names


def _listed(found: Sequence[Token], at: int) -> set[str]:
    names: set[str] = set()
    while at < len(found) and found[at].is_identifier:
        names.add(found[at].text)
        if at + 1 >= len(found) or found[at + 1].text != ",":
            break
        at += 2
    return names


def opening(found: Sequence[Token], closed: int) -> int | None:
    """Where the bracket was opened that is closed here; None where it was not, or another one was."""
    depth = 0
    for at in range(closed, -1, -1):
        if found[at].kind == "operator" and found[at].text in CLOSING:
            depth += 1
        elif found[at].kind == "operator" and found[at].text in OPENING:
            depth -= 1
            if depth == 0:
                return at if found[at].text == CLOSING[found[closed].text] else None
    return None


def closing(found: Sequence[Token], opened: int) -> int | None:
    """Where the bracket is closed that was opened here."""
    depth = 0
    for at in range(opened, len(found)):
        if found[at].kind == "operator" and found[at].text in OPENING:
            depth += 1
        elif found[at].kind == "operator" and found[at].text in CLOSING:
            depth -= 1
            if depth == 0:
                return at
    return None


def _is_separator(token: Token) -> bool:
    return token.kind == "operator" and token.text in (".", ":")


def _constant(token: Token) -> Key | None:
    if token.kind == "string":
        return string_value(token)
    return int(token.text) if token.kind == "number" and token.text.isdecimal() else None
