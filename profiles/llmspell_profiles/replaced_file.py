"""A configuration file that is replaced as a whole: read, locked meanwhile, written at once. Knows no keys."""

from __future__ import annotations

import codecs
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from llmspell_profiles.loading.toml_source import read_toml
from llmspell_protocol.errors import ConfigError


class Style(NamedTuple):
    """How a file is written apart from what it says."""

    mark: bytes = b""
    line_end: str = "\n"

    def written(self, text: str) -> bytes:
        """The file's bytes for a text."""
        return self.mark + text.replace("\n", self.line_end).encode()


def read(place: Path, name: str) -> tuple[str | None, Style]:
    """The file's text and style; None where there is no file. `name` is what errors call it."""
    try:
        text = read_toml(place, name).text
    except FileNotFoundError:
        return None, Style()
    raw = place.read_bytes()
    mark = codecs.BOM_UTF8 if raw.startswith(codecs.BOM_UTF8) else b""
    return text, Style(mark, "\r\n" if b"\r\n" in raw else "\n")


def resolved(file: Path) -> Path:
    """What a link leads to is written; the link stays."""
    try:
        place = file.resolve()
    except (OSError, RuntimeError):  # links in a circle
        raise ConfigError(f"can't write {file}: its links lead nowhere", details={"file": str(file)}) from None
    if place.exists() and not place.is_file():
        raise ConfigError(f"can't write {file}: it is not a file", details={"file": str(file)})
    return place


@contextmanager
def locked(place: Path) -> Iterator[None]:
    """No other process changes the file meanwhile; the directory is locked, since the file is replaced."""
    try:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(place.parent, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(place, error) from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def replace(place: Path, content: bytes) -> None:
    """Replaces the file, which keeps its mode; a new one is the owner's alone, since keys may be put into it."""
    try:
        old = place.stat() if place.exists() else None
        fd, partial = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise _unwritable(place, error) from None
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            if old is not None:
                os.fchmod(fd, old.st_mode & 0o777)
                with suppress(PermissionError):
                    os.fchown(fd, old.st_uid, old.st_gid)
            os.fsync(fd)
        os.replace(partial, place)
    except OSError as error:
        raise _unwritable(place, error) from None
    finally:
        Path(partial).unlink(missing_ok=True)


def _unwritable(place: Path, error: OSError) -> ConfigError:
    text = f"can't write {place}: {(error.strerror or str(error)).lower()}"
    return ConfigError(text, details={"file": str(place)})
