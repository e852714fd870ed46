"""Models on the disk that can't be used, as the kernel tells of them: part of the check of files, and movable away."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llmspell_cli.doctor.finding import Fix, Problem
from llmspell_cli.terminal.text import home_path

_PLACE = ".damaged"
"""A directory beside the models, whose name hides it from them."""


def damaged_models(damaged: Sequence[Mapping[str, Any]], directories: Mapping[str, Path]) -> Iterator[Problem]:
    """A problem for each model of `model list` that is damaged; `directories` are those of the models, by backend."""
    for model in damaged:
        path = Path(model["path"])
        place = directories[model["backend"]] / _PLACE
        text = f"model {model['id']} is damaged: {model['reason']}"
        action = f"move the damaged model {model['id']} to {home_path(str(place))}"
        yield Problem("warn", text, Fix(action, partial(_move, path, place)))


def _move(path: Path, place: Path) -> None:
    """Moves a model's directory, or what stands in its place, below `place`, or hides it where that is elsewhere."""
    place.mkdir(mode=0o700, exist_ok=True)
    try:
        path.rename(_free(place / f"{path.parent.name}-{path.name}"))
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        path.rename(_free(path.with_name(f"{_PLACE}-{path.name}")))
    if path.parent != place.parent:
        with contextlib.suppress(OSError):  # other variants stay
            path.parent.rmdir()


def _free(path: Path) -> Path:
    """The path, or the first like it with a number, that is not there yet."""
    number = 1
    found = path
    while found.exists() or found.is_symlink():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
