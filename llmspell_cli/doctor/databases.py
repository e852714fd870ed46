"""The check of the databases of the home: whether each can be used, and moving a damaged one aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from llmspell_cli.doctor.finding import Finding, Fix, ok
from llmspell_cli.terminal.text import home_path

_BESIDE = ("-wal", "-shm")
"""What SQLite keeps beside a database, and would take for another one's if it stayed."""


def databases(found: Sequence[Mapping[str, Any]]) -> Finding:
    """What the kernel has found of the databases, and a fix for each that is damaged."""
    if not found:
        return ok("there is none yet; each is made when needed", databases=[])
    problems = [_problem(one) for one in found if one["problems"]]
    problems += [_later(one) for one in found if one["version"] is not None and one["version"] > one["known_version"]]
    details = {"databases": list(found)}
    if not problems:
        names = ", ".join(str(one["name"]) for one in found)
        return ok(f"{names}: sound", **details)
    fixes = tuple(_fix(one) for one in found if one["problems"])
    text = problems[0] + (f", and {len(problems) - 1} more" if len(problems) > 1 else "")
    hint = "llmspell doctor --fix moves it aside" if fixes else "use a later llmspell, or another LLMSPELL_HOME"
    return Finding("fail", text, hint, details, fixes)


def _problem(database: Mapping[str, Any]) -> str:
    place = home_path(str(database["path"]))
    return f"the database with {database['holds']} is damaged: {place}: {database['problems'][0]}"


def _later(database: Mapping[str, Any]) -> str:
    known = database["known_version"]
    return f"{home_path(str(database['path']))} has version {database['version']}, and this llmspell knows {known}"


def _fix(database: Mapping[str, Any]) -> Fix:
    path = Path(database["path"])
    aside = _free(path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}"))
    return Fix(f"move the damaged {home_path(str(path))} to {home_path(str(aside))}", partial(_move, path, aside))


def _move(path: Path, aside: Path) -> None:
    """Moves a database and what belongs to it; running kernels notice, and begin a new one."""
    path.rename(aside)
    for ending in _BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + ending))


def _free(path: Path) -> Path:
    number, free = 1, path
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
