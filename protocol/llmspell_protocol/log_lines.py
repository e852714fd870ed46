"""The lines of a kernel's log, in both of their forms: written by the kernel, read by what shows a log.

Text: `2025-10-12T10:15:30.123Z [INFO] message request_id=ID`; what belongs to a line stands below it, indented. JSON:
one object a line. Knows neither logging nor kernels, so that the log of a kernel that has died can be read as well.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_protocol.plain_text import data_lines, text_lines

LEVELS = ("trace", "debug", "info", "warn", "error")
"""The words for levels, the least important first."""
_INDENT = "  "
_REQUEST = " request_id="
_NO_REQUEST = "-"
_PLAIN_ID = r"[A-Za-z0-9._:][A-Za-z0-9._:-]*\Z"
_TARGETS = ("llmspell_", "asyncio:")
_BLOCK = 65_536


class LogLine(NamedTuple):
    """One entry of a log; `ts` is UTC in ISO 8601 with milliseconds, `level` one of `LEVELS`.

    `target` is the module that wrote it, which text has only at level trace. `request_id` is the `msg_id` of the
    request that was being handled. `traceback` is what stands below the message.
    """

    ts: str
    level: str
    target: str | None
    message: str
    request_id: str | None = None
    traceback: str | None = None

    def to_text(self, *, with_target: bool = False) -> str:
        """The text form, without a newline at its end; what would be further lines is indented.

        A request's id is a client's word: what is not plain in it is escaped as in URLs.
        """
        first, *more = _lines(self.message) or [""]
        # A message may begin as if it named a module, and end as if it named a request: the real ones stand beside it.
        where = f"{self.target}: " if self.target and (with_target or first.startswith(_TARGETS)) else ""
        named = _written(self.request_id) if self.request_id else _NO_REQUEST if _REQUEST in first else ""
        request = f"{_REQUEST}{named}" if named else ""
        more += _lines(self.traceback) if self.traceback else []
        below = "".join(f"\n{_INDENT}{line}" for line in more)
        return f"{self.ts} [{self.level.upper()}] {where}{first}{request}{below}"

    def to_json(self) -> str:
        """The JSON form: `ts`, `level`, `target`, `message`, and `request_id` and `traceback` where there are any."""
        content = {key: value for key, value in self._asdict().items() if value is not None or key == "target"}
        return json.dumps(content, ensure_ascii=False)


def read_line(text: str) -> LogLine | None:
    """The entry that a line begins; None for one that goes on with the entry before it, or belongs to none."""
    return _from_json(text) if text.startswith("{") else _from_text(text)


def read_lines(lines: Iterable[str]) -> Iterator[LogLine]:
    """The entries of a log from its lines, of either form; lines before the first entry are left out."""
    entry: LogLine | None = None
    for line in lines:
        text = line.removesuffix("\n").removesuffix("\r")
        began = read_line(text)
        if began is not None:
            if entry is not None:
                yield entry
            entry = began
        elif entry is not None:
            below = text.removeprefix(_INDENT)
            entry = entry._replace(traceback=below if entry.traceback is None else f"{entry.traceback}\n{below}")
    if entry is not None:
        yield entry


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log, as they are; rotated files are looked into where the newest has too few."""
    lines: list[str] = []
    for place in log_files(path):
        if len(lines) >= count:
            break
        lines = [*_last_of(place, count - len(lines)), *lines]
    return lines


def log_files(path: Path) -> list[Path]:
    """The log and its rotated files that exist, the newest first."""
    found = [path]
    number = 1
    while True:
        # One that was just rotated isn't compressed yet.
        plain, packed = (path.with_name(f"{path.name}.{number}{ending}") for ending in ("", ".gz"))
        if not plain.exists() and not packed.exists():
            return [one for one in found if one.exists()]
        found.append(plain if plain.exists() else packed)
        number += 1


def _last_of(path: Path, count: int) -> list[str]:
    try:
        if path.suffix == ".gz":
            # Only who looks far back needs it.
            import gzip

            with gzip.open(path) as packed:
                return _texts(packed.read(), count)
        with path.open("rb") as file:
            return _texts(_end_of(file, count), count)
    except FileNotFoundError:
        return []  # It was rotated at this moment.


def _end_of(file: Any, count: int) -> bytes:
    """Enough of the end of a file to hold so many lines."""
    position = file.seek(0, os.SEEK_END)
    data = b""
    while position > 0 and data.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position -= step
        file.seek(position)
        data = file.read(step) + data
    return data


def _texts(data: bytes, count: int) -> list[str]:
    return data_lines(data)[-count:] if count > 0 else []


def _from_json(text: str) -> LogLine | None:
    try:
        content = json.loads(text)
        return LogLine(
            ts=str(content["ts"]),
            level=str(content["level"]),
            target=content.get("target"),
            message=str(content["message"]),
            request_id=content.get("request_id"),
            traceback=content.get("traceback"),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _from_text(text: str) -> LogLine | None:
    ts, _, rest = text.partition(" ")
    level, bracket, message = rest.partition("] ")
    word = level[1:].lower()
    if len(ts) != 24 or ts[10] != "T" or ts[-1] != "Z" or not bracket or level[:1] != "[" or word not in LEVELS:
        return None
    target: str | None = None
    if message.startswith(_TARGETS):
        head, colon, tail = message.partition(": ")
        if colon and " " not in head:
            target, message = head, tail
    message, found, request_id = message.rpartition(_REQUEST)
    if not found or " " in request_id:
        return LogLine(ts, word, target, f"{message}{found}{request_id}")
    return LogLine(ts, word, target, message, _read(request_id))


def _lines(text: str) -> list[str]:
    """The lines of a text; a carriage return at the end of one would be taken for a part of that end."""
    return [line.rstrip("\r") for line in text_lines(text)]


def _written(request_id: str) -> str:
    """A request's id as text has it: one word."""
    if re.match(_PLAIN_ID, request_id):
        return request_id
    # Of ids that our own clients never send.
    from urllib.parse import quote

    return "%2D" if request_id == _NO_REQUEST else quote(request_id, safe="", errors="replace")


def _read(word: str) -> str | None:
    if "%" not in word:
        return word if word != _NO_REQUEST else None
    from urllib.parse import unquote

    return unquote(word)
