"""API keys in a file that only its owner can read: `keys.json` in the home, for machines without a system keyring.

Also remembers which names have a key in the system keyring, since keyrings can't be asked for their names.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from llmspell_protocol.errors import ConfigError


class Content(NamedTuple):
    """Keys by name, and the names whose keys are in the system keyring."""

    keys: dict[str, str]
    in_keyring: list[str]


class KeyFile:
    """`keys.json`: read without a lock since it is only ever replaced whole, changed under one."""

    def __init__(self, home: Path) -> None:
        self.path = home / "keys.json"

    def read(self) -> Content:
        """What is in it; nothing where there is no file.

        Raises:
            ConfigError: it can't be read, or is not a key file.
        """
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return Content({}, [])
        except OSError as error:
            raise _error(f"cannot read the key file {self.path}: {error.strerror}", self.path) from None
        except ValueError as error:
            # Of a decoding error only the place: its text may be a key.
            place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "not UTF-8"
            raise _error(f"the key file {self.path} is not JSON ({place})", self.path, _REMOVE) from None
        if not isinstance(content, dict):
            content = {"keys": None}
        keys, names = content.get("keys", {}), content.get("in_keyring", [])
        if not (isinstance(keys, dict) and _are_texts(keys.values()) and isinstance(names, list) and _are_texts(names)):
            raise _error(f"the key file {self.path} is not of the form that llmspell writes", self.path, _REMOVE)
        return Content(keys, names)

    @contextmanager
    def changing(self) -> Iterator[Content]:
        """The content, to be changed in the block and written behind it; no other process changes it meanwhile.

        Raises:
            ConfigError: as `read`, or it can't be written.
        """
        try:
            with self._locked():
                content = self.read()
                before = json.dumps(content)
                yield content
                if json.dumps(content) != before:
                    self._write(content)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            hint = "free some space" if is_full else "set LLMSPELL_HOME to a directory that you may write to"
            raise _error(f"cannot write the key file {self.path}: {error.strerror}", self.path, hint) from None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The lock has a file of its own because the content's file is replaced by each change.
        fd = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _write(self, content: Content) -> None:
        """Replaces the file: whole or not at all, and never readable by others, not even for a moment."""
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="utf-8") as file:
                json.dump(content._asdict(), file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            partial.replace(self.path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


_REMOVE = "remove the file and add the keys again: llmspell keys add PROVIDER"


def _are_texts(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _error(message: str, path: Path, hint: str | None = None) -> ConfigError:
    return ConfigError(message, hint=hint, details={"file": str(path)})
