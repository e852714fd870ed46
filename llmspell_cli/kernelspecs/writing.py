"""Writes a kernelspec: `kernel.json` and the logos, whole or not at all. Knows neither options nor questions."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmspell_cli.kernelspecs.places import DEFAULT_NAME, read
from llmspell_protocol.errors import InvalidRequest

LOGOS = Path(__file__).with_name("logos")
"""`logo-32x32.png`, `logo-64x64.png` and `logo-svg.svg`, the names that Jupyter knows."""
_SPEC = "kernel.json"


def content(argv: Sequence[str], display_name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """What `kernel.json` says."""
    spec: dict[str, Any] = {
        "argv": list(argv),
        "display_name": display_name,
        "language": "lua",
        "interrupt_mode": "message",
        "metadata": {"debugger": True},
    }
    return {**spec, "env": dict(environment)} if environment else spec


def write(directory: Path, spec: Mapping[str, Any]) -> None:
    """Makes the directory a kernelspec, in place of one of ours that was there; other files in it stay.

    Raises:
        InvalidRequest: it can't be written, or something else has the name; then nothing has changed.
    """
    _demand_free(directory)
    made = _missing(directory.parent)
    # Beside it, so that it gets its name in one step, and hidden from Jupyter by a name that is none of a kernelspec.
    staging = directory.parent / f".{directory.name}~{os.getpid()}"
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        files = [*(logo.name for logo in sorted(LOGOS.iterdir())), _SPEC]
        for name in files[:-1]:
            shutil.copyfile(LOGOS / name, staging / name)
        (staging / _SPEC).write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        if directory.is_dir():
            for name in files:
                if (directory / name).is_dir():
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a directory")
            for name in files:
                (staging / name).replace(directory / name)
        else:
            staging.rename(directory)
    except OSError as error:
        raise InvalidRequest(
            f"can't write {directory}: {error.strerror}", hint="choose another place with --prefix DIR"
        ) from None
    finally:
        # Empty where the directory was there before; gone where it has the name now.
        shutil.rmtree(staging, ignore_errors=True)
        _unmake(made)


def _demand_free(directory: Path) -> None:
    """Only what is ours, or holds no kernelspec yet, is written over; a damaged one of the default name is ours."""
    if os.path.lexists(directory) and not directory.is_dir():
        raise InvalidRequest(f"{directory} is not a directory", hint="choose another name with --name")
    if directory.name != DEFAULT_NAME and os.path.lexists(directory / _SPEC) and read(directory) is None:
        raise InvalidRequest(
            f"kernelspec '{directory.name}' in {directory.parent} is not of llmspell",
            hint="choose another name with --name",
        )


def _missing(directory: Path) -> list[Path]:
    """The directories that have to be made for this one, the lowest first."""
    return [one for one in (directory, *directory.parents) if not os.path.lexists(one)]


def _unmake(directories: Sequence[Path]) -> None:
    for one in directories:
        try:
            one.rmdir()
        except OSError:
            return  # It was not made, or something else is in it by now.
