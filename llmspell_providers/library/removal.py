"""Deletes the directory of one model: decided before the first deletion, so that nothing is half removed.

A directory goes whole, under another name first: that one step succeeds or leaves everything as it was. Of a directory
that is a link only what the manifest names is deleted, then the link; what else its target holds stays.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from llmspell_protocol.errors import ConfigError, ModelNotFound
from llmspell_providers.library.names import as_text

_HIDDEN = ".llmspell-"
_AS_WHO_ACTS = os.access in os.supports_effective_ids
_OWN = ("manifest.json", "lock")
"""What every model's directory has besides the model's files."""


def remove_model(directory: Path, files: Sequence[str], *, model_id: str) -> int:
    """Deletes a model's directory, in which `files` are the model's; returns the bytes that these took.

    Raises:
        ModelNotFound: it has gone meanwhile.
        ConfigError: it can't be deleted; it is as it was, or, where the text says so, no longer installed.
    """
    is_link = directory.is_symlink()
    _decide(directory, files, is_link=is_link)
    freed = sum(_freed(directory / name) for name in files)
    try:
        hidden = set_aside(directory)
    except FileNotFoundError:
        raise ModelNotFound(f"Model '{model_id}' is no longer installed") from None
    except OSError as error:
        raise cannot_delete(directory, error) from error
    try:
        delete(hidden, files)
    except OSError as error:
        raise ConfigError(
            f"'{model_id}' is no longer installed, but its files could not all be deleted: {_why(error)}"
            f" ({as_text(str(error.filename or hidden))})",
            hint=f"delete {as_text(str(hidden))} when that is put right",
            details={"path": as_text(str(hidden)), "reason": _why(error)},
        ) from error
    _remove_if_empty(directory.parent)
    return freed


def set_aside(directory: Path) -> Path:
    """Renames a model's directory, beside itself, so that it is no model's any more; returns where it is now.

    Raises:
        OSError: it can't be renamed, and is as it was.
    """
    _sweep(directory.parent)
    hidden = hidden_name(directory, "gone")
    os.rename(directory, hidden)
    return hidden


def hidden_name(directory: Path, why: str) -> Path:
    """A name beside a model's directory that is no model's; what is left there by a process that died is swept."""
    digest = hashlib.sha256(os.fsencode(directory.name)).hexdigest()[:16]
    return directory.with_name(f"{_HIDDEN}{os.getpid()}-{why}-{digest}")


def delete(hidden: Path, files: Sequence[str]) -> None:
    """Deletes what `set_aside` gave: all of a directory; of a link the model's `files` and the link.

    Raises:
        OSError: something can't be deleted.
    """
    if hidden.is_dir() and not hidden.is_symlink():
        shutil.rmtree(hidden)
        return
    for name in (*_OWN, *files) if hidden.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            (hidden / name).unlink()
    hidden.unlink()


def _sweep(parent: Path) -> None:
    """Deletes what processes that died set aside; links are left to people."""
    for path in parent.glob(f"{_HIDDEN}*"):
        pid = path.name.removeprefix(_HIDDEN).partition("-")[0]
        if pid.isdecimal() and not is_alive(int(pid)) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def is_alive(pid: int) -> bool:
    """Whether there is a process of this id."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _decide(directory: Path, files: Sequence[str], *, is_link: bool) -> None:
    """Whether all that will be deleted can be; raises `ConfigError`."""
    emptied = [directory] if is_link else [directory, *_directories_below(directory)]
    for place in (directory.parent, *emptied):
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=_AS_WHO_ACTS):
            why = "it is on a read-only disk" if _is_read_only(place) else "it belongs to another user, or is read-only"
            raise _cannot(place, why)
    for name in files if is_link else ():
        if (directory / name).is_dir() and not (directory / name).is_symlink():
            raise _cannot(directory / name, "it is a directory, where the manifest names a file")
    _check_sticky(directory)


def _directories_below(directory: Path) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        raise cannot_delete(directory, error)

    for place, names, _ in os.walk(directory, onerror=unreadable):
        yield from (Path(place, name) for name in names if not os.path.islink(os.path.join(place, name)))


def _check_sticky(directory: Path) -> None:
    """In a directory with the sticky bit, such as /tmp, people rename and delete only what is theirs."""
    parent = directory.parent.stat()
    me = os.geteuid()
    if parent.st_mode & stat.S_ISVTX and me not in (0, parent.st_uid, directory.lstat().st_uid):
        raise _cannot(directory, "it belongs to another user")


def _is_read_only(place: Path) -> bool:
    try:
        return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _remove_if_empty(parent: Path) -> None:
    """The directory of all variants of a name, where this was the last one; a link to it goes, its target stays."""
    with contextlib.suppress(OSError):  # another variant stays, or another process was faster
        if not parent.is_symlink():
            parent.rmdir()
        elif not any(parent.iterdir()):
            parent.unlink()


def _freed(path: Path) -> int:
    """What deleting a file gives back: nothing where it is a link, or has another name on the disk."""
    try:
        status = path.lstat()
        return status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == 1 else 0
    except OSError:
        return 0


def cannot_delete(place: Path, error: OSError) -> ConfigError:
    """The error for what the system refuses about a model's directory."""
    if error.errno == errno.EBUSY:
        return _cannot(place, "something is mounted there")
    return _cannot(place, _why(error))


def _cannot(place: Path, why: str) -> ConfigError:
    shown = as_text(str(place))
    return ConfigError(
        f"{shown} can't be deleted: {why}",
        hint=f"check the owner and mode of {shown} and of the directory that it is in (ls -ld)",
        details={"path": shown, "reason": why},
    )


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
