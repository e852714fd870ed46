"""Where a value is kept: whose it is, its scope and its key, and which of these there can be. Knows no values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from llmspell_protocol.errors import InvalidRequest

MAX_KEY = 256
MAX_WITH_SCOPE = 512
"""Characters of a key, and of scope and key together."""
GLOBAL = "global"
CUSTOM = "custom"
KINDS = ("user", "session", "agent", "tool", "workflow", "hook", CUSTOM)
"""Scopes of these kinds are written `KIND:ID`."""

_LAST = "\U0010ffff"
"""Behind every other text."""
_FORBIDDEN = {"..": "'..'", "\\": "a backslash", "//": "'//'", "\0": "NUL", "\r": "a line break", "\n": "a line break"}
_WHOLE = re.compile(rf"({'|'.join(KINDS)}):([^:]+):(.+)", re.DOTALL)


class Place(NamedTuple):
    """One entry: clients with different keys (`key_id`) see nothing of each other."""

    key_id: str
    scope: str
    key: str


def place_of(key_id: str, scope: str, key: str) -> Place:
    """The place that a caller names.

    In scope `custom` a key that begins with a colon is a whole one: `:workflow:ID:STEP` is `STEP` in `workflow:ID`.

    Raises:
        InvalidRequest: scope or key can't be one.
    """
    if scope == CUSTOM and key.startswith(":"):
        whole = _WHOLE.fullmatch(key, 1)
        if whole is not None:
            scope, key = f"{whole[1]}:{whole[2]}", whole[3]
        else:
            key = key[1:]
    scope, key = scope_of(scope), _checked("key", key, MAX_KEY)
    if key.startswith(("__", "$$")):
        raise _invalid("key", "it starts with '__' or '$$'", key)
    if len(scope) + 1 + len(key) > MAX_WITH_SCOPE:
        raise _invalid("key", f"it has more than {MAX_WITH_SCOPE} characters with its scope", key)
    return Place(key_id, scope, key)


def scope_of(scope: str) -> str:
    """The one name of a scope: what is neither `global`, `custom` nor `KIND:ID` is a custom scope of that name.

    Raises:
        InvalidRequest: it can't be a scope.
    """
    scope = _checked("scope", scope, MAX_WITH_SCOPE - 1)
    kind, colon, id = scope.partition(":")
    if scope in (GLOBAL, CUSTOM):
        return scope
    if colon and kind in KINDS:
        if not id:
            raise _invalid("scope", f"'{kind}:' needs an id behind it", scope)
        return scope
    return f"{CUSTOM}:{scope}"


def scopes_of(scope: str, kinds: Sequence[str]) -> Sequence[tuple[str, str]]:
    """The scopes that are meant, as ranges of names: of these `kinds` (`all` is every one), without any the `scope`."""
    if not kinds:
        name = scope_of(scope)
        return [(name, name)]
    if "all" in kinds:
        return [("", _LAST)]
    ranges = []
    for kind in dict.fromkeys(kinds):
        # Scripts write `session` too, where they mean no particular one.
        plain = CUSTOM if kind == CUSTOM else f"{CUSTOM}:{kind}"
        ranges += [(f"{kind}:", f"{kind}:{_LAST}"), (plain, plain)]
    return ranges


def _checked(what: str, text: str, most: int) -> str:
    text = unicodedata.normalize("NFC", text)
    if not text:
        raise _invalid(what, "it is empty", text)
    if len(text) > most:
        raise _invalid(what, f"it has more than {most} characters", text)
    for forbidden, name in _FORBIDDEN.items():
        if forbidden in text:
            raise _invalid(what, f"it has {name} in it", text)
    return text


def _invalid(what: str, why: str, text: str) -> InvalidRequest:
    shown = text if len(text) <= 80 else f"{text[:80]}…"
    return InvalidRequest(f"Invalid state {what}: {why}: '{shown}'", details={what: shown})
