"""Secrets taken out of what is about to be kept: known ones wherever they stand, others by their names and looks.

A secret is a value that is known to be one (a key of the environment or the configuration), the text of a field that
is called like one (`password`, `Authorization`), and text that looks like a key of a vendor's, a password in a URL, a
bearer token or a private key. Knows neither requests nor files.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmspell_profiles.credentials.secrets import (
    HIDDEN,
    PASSWORD_IN_URL,
    SECRET_IN_QUERY,
    SECRET_NAME,
    is_secret_name,
    is_secret_variable,
)

SHORTEST = 6
"""Characters of the shortest value that is looked for everywhere: a shorter one is part of too many words."""

_AUTH = re.compile(r"(?i)auth(?:entication)?|credentials?|secrets?")
"""A map of this name holds nothing that may be shown but what kind it is of."""
_KINDS = frozenset({"type", "kind", "scheme", "header"})

_LIKE_A_KEY = re.compile(
    r"(?<![A-Za-z0-9_-])(?:sk-|sk_|pk_|rk_|ghp_|gho_|ghs_|github_pat_|glpat-|hf_|xox[abpr]-|gsk_|AKIA|AIza|ya29\.)"
    r"[A-Za-z0-9_.-]{6,}|(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?"
)
# A word behind it is prose ("basic understanding"); a token has a digit or the like in it.
_SCHEME = re.compile(r"(?i)\b(Bearer|Basic)( +)(?=[a-z+/._~-]*[0-9=_])[a-z0-9+/=._~-]{6,}")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_QUOTED = re.compile(rf"""(?i)((?<![a-z]){SECRET_NAME}\\?["']?\]?\s*[:=]\s*)(\\?["'])((?:(?!\2).)+)(\2)""")
"""`api_key = "…"` in code, and the same in JSON that stands in a text."""
_ASSIGNED = re.compile(r"\b([A-Z0-9_]*(?:API_KEY|SECRET|PASSWORD|TOKEN|ACCESS_KEY))=([^\s\"'&;]+)")
_PASSWORD_IN_URL = re.compile(PASSWORD_IN_URL)
_SECRET_IN_QUERY = re.compile(SECRET_IN_QUERY)
# Of a word behind a name one that has a digit: without one it is prose, or code.
_SAID = re.compile(
    r"(?i)((?<![\w.])(?:password|passwd|passphrase|secret|token|api[_-]?key)=)(?=[^\s\"'&;()]{0,200}\d)"
    r"[^\s\"'&;().,]{6,200}(?![\w(.])"
)
_OPTION_IN_TEXT = re.compile(
    rf"""(?i)((?<![\w-])--[a-z-]{{0,30}}?{SECRET_NAME}\\?["']?(?:[ =]|,\s?)\s?\\?["']?)"""
    r"""(?=[^\s"',\\]{0,200}\d)[^\s"',\\]{4,200}"""
)
_OPTION = re.compile(rf"(?i)--?[a-z-]*?{SECRET_NAME}(?:=(.+))?")


class Redactor:
    """Replaces secrets by `***`; `values` are those that are known, of which short ones are left out."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted({value for value in values if len(value) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str], values: Iterable[str] = ()) -> "Redactor":
        """One that knows `values` and what the environment has under names of secrets."""
        found = (value for name, value in environment.items() if is_secret_variable(name))
        return cls([*values, *(value for value in found if not value.startswith("/"))])

    def value(self, value: Any, name: str = "") -> Any:
        """Plain data without the secrets in it; `name` is that of the field that it stands in."""
        if isinstance(value, str):
            return HIDDEN if value and is_secret_name(name) else self.text(value)
        if isinstance(value, Mapping):
            if _AUTH.fullmatch(name):
                return {key: self._of_auth(key, one) for key, one in value.items()}
            return {key: self.value(one, key if isinstance(key, str) else "") for key, one in value.items()}
        if isinstance(value, (list, tuple)):
            return self._items(value, name)
        return value

    def text(self, text: str) -> str:
        """A text without the secrets in it."""
        if self._known is not None:
            text = _replaced(self._known, HIDDEN, text)
        if "-----BEGIN" in text:
            text = _PRIVATE_KEY.sub(HIDDEN, text)
        if "://" in text:
            text = _replaced(_PASSWORD_IN_URL, rf"\1:{HIDDEN}@", text)
            text = _replaced(_SECRET_IN_QUERY, rf"\1{HIDDEN}", text)
        text = _replaced(_LIKE_A_KEY, HIDDEN, text)
        text = _replaced(_SCHEME, rf"\1\2{HIDDEN}", text)
        text = _replaced(_QUOTED, rf"\1\2{HIDDEN}\4", text)
        text = _replaced(_SAID, rf"\1{HIDDEN}", text)
        text = _replaced(_OPTION_IN_TEXT, rf"\1{HIDDEN}", text)
        return _replaced(_ASSIGNED, rf"\1={HIDDEN}", text)

    def data(self, data: bytes) -> bytes:
        """Bytes without the secrets in them: a text as a text, of anything else those that are known and keys."""
        try:
            return self.text(data.decode()).encode()
        except UnicodeDecodeError:
            pass
        # Each byte as a character, and so are the known ones.
        text = data.decode("latin-1")
        if self._known is not None:
            known = re.compile(self._known.pattern.encode().decode("latin-1"))
            text = _replaced(known, HIDDEN, text)
        if "-----BEGIN" in text:
            text = _PRIVATE_KEY.sub(HIDDEN, text)
        return text.encode("latin-1")

    def _of_auth(self, key: Any, value: Any) -> Any:
        if isinstance(value, str) and value and key not in _KINDS:
            return HIDDEN
        return self.value(value, key if isinstance(key, str) else "")

    def _items(self, values: list[Any] | tuple[Any, ...], name: str) -> list[Any]:
        """A list; behind a word such as `--api-key` stands what it names, and a pair may be a header."""
        if len(values) == 2 and isinstance(values[0], str) and isinstance(values[1], str) and is_secret_name(values[0]):
            return [values[0], HIDDEN]
        found: list[Any] = []
        hide = False
        for one in values:
            option = _OPTION.fullmatch(one) if isinstance(one, str) else None
            if hide and isinstance(one, str) and not one.startswith("-"):
                found.append(HIDDEN)
            elif option is not None and option[1] is not None:
                found.append(f"{one.partition('=')[0]}={HIDDEN}")
            else:
                found.append(self.value(one, name))
            hide = option is not None and option[1] is None
        return found


_PIECE = 128 * 1024
"""Characters that are looked at in one go: one look at megabytes would keep every other thread from running."""
_OVERLAP = 32 * 1024
"""Characters behind a piece that what begins in it may reach into; one that has no end goes on beyond them."""


def _replaced(pattern: re.Pattern[str], by: str, text: str) -> str:
    """The text with `by` for each match, as `pattern.sub`, however it is cut into pieces."""
    if len(text) <= _PIECE:
        return pattern.sub(by, text)
    found: list[str] = []
    copied = start = 0
    while start < len(text):
        end = start + _PIECE
        seen = min(end + _OVERLAP, len(text))
        for match in pattern.finditer(text, start, seen):
            if match.start() >= end:
                break
            whole = pattern.match(text, match.start()) if match.end() == seen else None
            one = match if whole is None else whole
            found += (text[copied : one.start()], one.expand(by))
            copied = one.end()
        start = max(end, copied)
    return "".join((*found, text[copied:]))
