"""The check of the files below LLMSPELL_HOME: who may read them, what dead kernels have left, how that is put right."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmspell_cli.connect import remove_stale_engine_directories, remove_stale_files, stale_engine_directories
from llmspell_cli.doctor.finding import Finding, Fix, Problem, Status
from llmspell_cli.terminal.text import home_path
from llmspell_protocol.discovery import is_running
from llmspell_protocol.errors import Forbidden

PRIVATE_DIRECTORY = 0o700
PRIVATE_FILE = 0o600
_SECRETS = (
    "keys.json",
    "repl_history",
    "run/kernel-*.json",
    "state.db",
    "sessions.db",
    "workflows.db",
    "history.db",
    "logs/*",
)
"""What others must not read: keys, connections, what was typed and what was answered."""


class Files(NamedTuple):
    """What was found before any kernel was started, which makes what is missing."""

    missing: Sequence[Path]
    problems: Sequence[Problem]


def look_at_files(home: Path) -> Files:
    """Modes and leftovers, and which directories are missing."""
    missing = [place for place in (home, home / "run", home / "logs", home / "models") if not place.exists()]
    leftovers = [*_leftovers(home / "run"), *_engine_leftovers()]
    return Files(missing, [*_home(home), *_of_others(home), *_modes(home), *leftovers])


def files(home: Path, found: Files, others: Sequence[Problem] = ()) -> Finding:
    """Modes and leftovers, and `others`; with fixes for what can be put right, missing directories among it."""
    missing, problems = found.missing, [*found.problems, *others]
    shown = home_path(str(home))
    details: dict[str, Any] = {
        "home": str(home),
        "missing": [str(place) for place in missing],
        "problems": [problem.text for problem in problems],
    }
    fixes = tuple(_creation(place) for place in missing) + tuple(one.fix for one in problems if one.fix is not None)
    if not problems:
        text = f"{shown} is not there yet; it is made when needed" if home in missing else f"modes of {shown} are safe"
        return Finding("ok", text, None, details, fixes)
    status: Status = "fail" if any(problem.status == "fail" for problem in problems) else "warn"
    text = problems[0].text + (f", and {len(problems) - 1} more" if len(problems) > 1 else "")
    can_be_fixed = any(problem.fix is not None for problem in problems)
    hint = "llmspell doctor --fix" if can_be_fixed else f"make {shown} yours, or name another place in LLMSPELL_HOME"
    return Finding(status, text, hint, details, fixes)


def _home(home: Path) -> Iterator[Problem]:
    if not home.exists():
        return
    shown = home_path(str(home))
    if not home.is_dir():
        yield Problem("fail", f"{shown} is not a directory", None)
    elif home.stat().st_uid != os.geteuid():
        yield Problem("fail", f"{shown} belongs to another user", None)
    elif not os.access(home, os.W_OK | os.X_OK):
        yield Problem("fail", f"{shown} can't be written", None)


def _of_others(home: Path) -> Iterator[Problem]:
    """What this user can't write below a home of their own: a command that ran as another user has made it."""
    for path in (home / "run", home / "logs", home / "models", *sorted(home.glob("logs/*.log"))):
        if path.exists() and not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            whose = "belongs to another user" if path.stat().st_uid != os.geteuid() else "can't be written"
            yield Problem("fail" if path.is_dir() else "warn", f"{home_path(str(path))} {whose}", None)


def _modes(home: Path) -> Iterator[Problem]:
    for directory in (home, home / "run", home / "logs"):
        if directory.is_dir():
            yield from _too_open(directory, PRIVATE_DIRECTORY, only_warn=directory != home / "run")
    for pattern in _SECRETS:
        for path in sorted(home.glob(pattern)):
            if path.is_file() and not path.is_symlink():
                yield from _too_open(path, PRIVATE_FILE)


def _too_open(path: Path, wanted: int, *, only_warn: bool = False) -> Iterator[Problem]:
    """A problem where others may do anything with it; being only readable is a warning where `only_warn`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return
    shown = home_path(str(path))
    status: Status = "warn" if only_warn and not mode & 0o022 else "fail"
    action = f"set the mode of {shown} to {wanted:04o} (it is {mode:04o})"
    may = "written" if mode & 0o022 else "read"
    yield Problem(status, f"{shown} can be {may} by others (mode {mode:04o})", Fix(action, lambda: path.chmod(wanted)))


def _leftovers(run_dir: Path) -> Iterator[Problem]:
    names = {path.stem for pattern in ("kernel-*.json", "kernel-*.lock") for path in run_dir.glob(pattern)}
    ids = sorted(name.removeprefix("kernel-") for name in names)
    stale = []
    for kernel_id in ids:
        try:
            if not is_running(run_dir, kernel_id):
                stale.append(kernel_id)
        except Forbidden as error:
            yield Problem("warn", error.message, None)
    if stale:
        text = f"{', '.join(stale)} ended without clearing up"
        fix = Fix(f"remove what is left of kernel {', '.join(stale)}", remove_stale_files)
        yield Problem("warn", text, fix)


def _engine_leftovers() -> Iterator[Problem]:
    left = stale_engine_directories()
    if left:
        text = f"{', '.join(map(str, left))}: left by an engine whose kernel was killed"
        what = "directories" if len(left) > 1 else "directory"
        yield Problem("warn", text, Fix(f"remove {len(left)} {what} of ended engines", remove_stale_engine_directories))


def _creation(place: Path) -> Fix:
    return Fix(f"create {home_path(str(place))}", lambda: place.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True))
