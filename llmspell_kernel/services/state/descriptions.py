"""The descriptions of backups: the `.json` beside each, as text and back.

A directory of backups may have come from anywhere: a backup's id is what its file is called, and has the form that the
kernel gives; what stands in the file is believed only where each field is what it has to be. Knows no directory.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

Compression = Literal["zstd", "gzip", "none"]

ENDINGS: Mapping[Compression, str] = {"zstd": ".db.zst", "gzip": ".db.gz", "none": ".db"}
"""The endings of backups' files by how they are compressed."""
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a caller may call a backup."""
ENDING = ".json"

# When, what it was called, and a number where that was taken.
_ID = re.compile(r"[0-9]{8}T[0-9]{6}\.[0-9]{3}(-[A-Za-z0-9._-]{1,80})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LAST_MS = 253_402_300_799_999
"""The last moment that has a date."""
_MOST = 1 << 53
_LONGEST_BYTES = 16 << 20


class Backup(NamedTuple):
    """One backup: times are milliseconds since 1970, `entries` counts by key, `sha256` is of the file as it lies."""

    id: str
    owner: str
    created_ms: int
    bytes: int
    entries: dict[str, int]
    compression: Compression
    sha256: str

    def count(self, key_id: str) -> int:
        """The entries that a key's client has in it."""
        return self.entries.get(key_id, 0)


def as_text(backup: Backup) -> str:
    """The description as it is written."""
    return json.dumps(backup._asdict())


def read(path: Path) -> Backup:
    """The backup that a description is of.

    Raises:
        ValueError: it describes none; says why.
        OSError: it can't be read.
    """
    id = path.name.removesuffix(ENDING)
    if not _ID.fullmatch(id):
        raise ValueError("its name is no backup's id")
    # A link could lead anywhere, and a pipe would never end.
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > _LONGEST_BYTES:
        raise ValueError("it is no file, or one that is too large")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(content, dict) or content.keys() != set(Backup._fields):
        raise ValueError(f"it has to have {', '.join(Backup._fields)}")
    wrong = next((name for name, is_right in _FORMS.items() if not is_right(content[name])), None)
    if wrong is not None:
        raise ValueError(f"{wrong} is not what it has to be")
    if content["id"] != id:
        raise ValueError("its id is another than its name")
    return Backup(**content)


def _is_count(value: Any, most: int = _MOST) -> bool:
    return type(value) is int and 0 <= value <= most


_FORMS: Mapping[str, Callable[[Any], bool]] = {
    "id": lambda value: isinstance(value, str),
    "owner": lambda value: isinstance(value, str),
    "created_ms": lambda value: _is_count(value, _LAST_MS),
    "bytes": _is_count,
    "entries": lambda value: isinstance(value, dict) and all(map(_is_count, value.values())),
    "compression": lambda value: isinstance(value, str) and value in ENDINGS,
    "sha256": lambda value: isinstance(value, str) and _SHA256.fullmatch(value) is not None,
}
"""What the value of each field has to be."""
