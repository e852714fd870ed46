"""Puts a finished model where it belongs, in one step for every reader, in place of what is there. Knows no pull.

A directory of models may be a link to another disk, where a rename can't reach: there the files are copied first.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from llmspell_providers.library.manifest import ManifestInvalid, read_manifest
from llmspell_providers.library.removal import delete, hidden_name, set_aside

_log = logging.getLogger(__name__)


def put_in_place(ready: Path, place: Path) -> None:
    """Makes the directory `ready` the one at `place`; what was there goes, of a link only the model's own files.

    Raises:
        OSError: it can't be put there; what was there is there still.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    near = _near(ready, place)
    replaced = None
    names = _model_files(place)
    if os.path.lexists(place):
        replaced = set_aside(place)
    try:
        near.rename(place)
    except OSError:
        if replaced is not None:
            replaced.rename(place)
        if near != ready:
            shutil.rmtree(near, ignore_errors=True)
        raise
    sync_directory(place.parent)
    if replaced is not None:
        try:
            delete(replaced, names)
        except OSError as error:
            _log.warning("what was at %s before could not all be deleted and is at %s: %s", place, replaced, error)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _near(ready: Path, place: Path) -> Path:
    """The same files on the disk of `place`."""
    if ready.stat().st_dev == place.parent.stat().st_dev:
        return ready
    near = hidden_name(place, "coming")
    try:
        needed = sum(path.lstat().st_size for path in ready.iterdir())
        if needed > shutil.disk_usage(place.parent).free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place.parent))
        near.mkdir()
        for path in ready.iterdir():
            shutil.copyfile(path, near / path.name, follow_symlinks=False)
            if path.is_symlink():
                continue  # it leads to another's file, which stays where it is
            descriptor = os.open(near / path.name, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_directory(near)
    except OSError:
        shutil.rmtree(near, ignore_errors=True)
        raise
    shutil.rmtree(ready, ignore_errors=True)
    return near


def _model_files(place: Path) -> Sequence[str]:
    with contextlib.suppress(OSError, ManifestInvalid):
        return [file.name for file in read_manifest(place).files]
    return []
