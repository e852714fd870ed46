"""Where a request's script is and runs, on the kernel's machine. Knows paths as texts and opens none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from llmspell_kernel.directories import own_directory
from llmspell_kernel.request import Request
from llmspell_protocol.errors import InvalidRequest


class Seen(NamedTuple):
    """Which names of files may be told: those from `directory` on that are below one of `places`."""

    directory: str | None
    places: Sequence[str]


NOTHING_SEEN = Seen(None, ())


def cell_directory(request: Request, place: str | None = None) -> str | None:
    """The directory that a cell works in; `place` is its notebook's. Raises as `working_directory`."""
    directory = working_directory(request) or place
    if directory is None and request.caller.local and request.caller.notebook is None:
        # A frontend starts its kernel in the notebook's directory; a daemon's place in the root says nothing.
        directory = own_directory()
        directory = None if directory == "/" else directory
    return directory


def seen_by(request: Request, granted: Sequence[str], place: str | None = None) -> Seen:
    """What a cell of this request could read, with the paths that it grants; `place` as in `cell_directory`.

    Raises:
        InvalidRequest: as `working_directory`.
    """
    directory = cell_directory(request, place)
    script = script_directory(request, directory)
    below = [place for place in (script, directory) if place is not None and place != "/"]
    return Seen(directory or script, [*below, *granted])


def working_directory(request: Request) -> str | None:
    """The directory that the client works in; None where it is on another machine or doesn't say.

    Raises:
        InvalidRequest: it is not absolute, or no path.
    """
    directory = request.options.cwd
    if directory is None or not request.caller.local:
        return None
    if not os.path.isabs(directory):
        raise InvalidRequest("metadata.llmspell.cwd has to be an absolute path")
    return _path(directory, "cwd")


def script_directory(request: Request, working_directory: str | None) -> str | None:
    """The directory of the script's file; None where there is none or the client is on another machine.

    Raises:
        InvalidRequest: it is not absolute, or no path.
    """
    path = request.options.path
    if path is None or not request.caller.local:
        return None
    full = os.path.join(working_directory or "", path)
    if not os.path.isabs(full):
        raise InvalidRequest("metadata.llmspell.path has to be absolute, or given together with cwd")
    return os.path.dirname(_path(full, "path"))


def script_path(request: Request) -> str | None:
    """What a debugger calls the script's file: absolute where that is known; None where there is no file.

    It is a name alone, and nothing is opened by it.
    """
    path = request.options.path
    return None if path is None else os.path.normpath(os.path.join(request.options.cwd or "", path))


def _path(text: str, option: str) -> str:
    if "\0" in text:
        raise InvalidRequest(f"metadata.llmspell.{option} has a zero byte, which no path has")
    return text
