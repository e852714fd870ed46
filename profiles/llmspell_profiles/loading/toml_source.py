"""One TOML text: its data, what is wrong with its syntax, and on which line each key stands.

Knows no settings. `tomllib` gives no positions, so `key_positions` reads the text again; it is called only when
something has to be reported, and only for text that `tomllib` accepted.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_profiles.problems import KeyPath, SettingError

# Compiled when they are used: most runs have nothing to report.
_KEY_PART = r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*"""
_BLANK = r"(?:[ \t\r\n]|#[^\n]*)*"
_STRING = r"""(?s:"{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*')"""
_BARE = r"[^,\]}\n#]*"


class Position(NamedTuple):
    """A place in a text; both count from 1."""

    line: int
    column: int


class TomlSource:
    """A TOML file as the user knows it: the name to show, its text and its data."""

    def __init__(self, name: str, text: str, data: dict[str, Any]) -> None:
        self.name = name
        self.text = text
        self.data = data

    @cached_property
    def positions(self) -> Mapping[KeyPath, Position]:
        return key_positions(self.text)

    def position(self, path: KeyPath) -> Position | None:
        """Where the key stands; for a key that isn't there, the nearest table around it."""
        while path:
            if path in self.positions:
                return self.positions[path]
            path = path[:-1]
        return None


def read_toml(path: Path, name: str) -> TomlSource:
    """Read and parse a file; `name` is what messages call it.

    Raises `FileNotFoundError` (also if a part of the path is not a directory) and `ConfigError` for everything else.
    """
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(name) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SettingError(f"cannot read configuration file {name}: {reason}", details={"file": name}) from error
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise SettingError(f"{name}:{line} is not UTF-8 text", details={"file": name, "line": line}) from error
    try:
        return TomlSource(name, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(name, text, error) from error


def _syntax_error(name: str, text: str, error: tomllib.TOMLDecodeError) -> SettingError:
    # Only needed for a message, and start-up counts.
    from ast import literal_eval

    found = re.fullmatch(r"(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
    reason = found[1] if found else str(error)
    if found and found[2]:
        line, column = int(found[2]), int(found[3])
    else:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    reason = reason.removesuffix(" in a key/value pair")
    # Of a table that stands there twice, the parser names the parts: ('engines', 'lua').
    reason = re.sub(r"\('.*'\)|\('.*',\)", lambda parts: f"[{'.'.join(literal_eval(parts[0]))}]", reason)
    reason = reason[:1].lower() + reason[1:]
    return SettingError(
        f"{name}:{line}:{column} is not valid TOML: {reason}", details={"file": name, "line": line, "column": column}
    )


def key_positions(text: str) -> dict[KeyPath, Position]:
    """The first position of each key and table header in a valid TOML text."""
    scan = _Scan(text)
    scan.document()
    return scan.found


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[KeyPath, Position] = {}

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                brackets = 2 if self.text.startswith("[[", self.at) else 1
                self.at += brackets
                table = self._key(())
                self.at += brackets
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _pair(self, table: KeyPath) -> None:
        path = self._key(table)
        self.at += 1  # the equals sign
        self._value(path)

    def _key(self, table: KeyPath) -> KeyPath:
        path = table
        part_of_key = re.compile(_KEY_PART)
        while found := part_of_key.match(self.text, self.at):
            start = found.start(1)
            part = found[1]
            path = (*path, part[1:-1] if part[0] in "\"'" else part)
            line = self.text.count("\n", 0, start) + 1
            self.found.setdefault(path, Position(line, start - self.text.rfind("\n", 0, start)))
            self.at = found.end()
            if self.text[self.at] != ".":
                break
            self.at += 1
        return path

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        opening = self.text[self.at]
        if opening == "[":
            self._sequence("]", lambda: self._value(path))
        elif opening == "{":
            self._sequence("}", lambda: self._pair(path))
        else:
            self._skip(_STRING if opening in "\"'" else _BARE)

    def _sequence(self, closing: str, item: Callable[[], None]) -> None:
        self.at += 1
        self._skip(_BLANK)
        while self.text[self.at] != closing:
            item()
            self._skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self._skip(_BLANK)
        self.at += 1

    def _skip(self, pattern: str) -> None:
        if found := re.compile(pattern).match(self.text, self.at):
            self.at = found.end()
