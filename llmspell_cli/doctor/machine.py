"""Checks of the machine itself: the Python that runs us, space on the disk, memory for models."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path
from typing import Any

from llmspell_cli.doctor.finding import Finding, fail, ok, warn
from llmspell_cli.doctor.subject import Answers
from llmspell_cli.terminal.text import home_path

OLDEST_PYTHON = (3, 11)
LITTLE_DISK_BYTES = 5_000_000_000
"""Less than one model of seven billion parameters in four bits needs."""
NO_DISK_BYTES = 100_000_000
LITTLE_MEMORY_BYTES = 1_000_000_000


def python() -> Finding:
    """The interpreter and the platform."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    details = {"version": platform.python_version(), "executable": sys.executable}
    if sys.version_info < OLDEST_PYTHON:
        return fail(text, "install Python {}.{} or later".format(*OLDEST_PYTHON), **details)
    return ok(text, **details)


def disk(home: Path, models: Path) -> Finding:
    """Space where the models go; `models` is the directory of the in-house ones."""
    place = models if models.is_dir() else home
    while not place.exists():
        place = place.parent
    free, used = shutil.disk_usage(place).free, _size(models)
    text = f"{home_path(str(home))}: {_gigabytes(free)} free; models use {_gigabytes(used)}"
    details = {"path": str(place), "free_bytes": free, "models_bytes": used}
    hint = "llmspell model remove MODEL, or move providers.candle.model_directory to a larger disk"
    if free < NO_DISK_BYTES:
        return fail(text, hint, **details)
    return warn(text, hint, **details) if free < LITTLE_DISK_BYTES else ok(text, **details)


def memory(answers: Answers) -> Finding:
    """What the machine can give, and what models may take of it."""
    residents = answers.residents
    available, budget = residents["available_bytes"], residents["budget_bytes"]
    text = f"{_gigabytes(available)} available, model budget {_gigabytes(budget)}"
    details: dict[str, Any] = {"available_bytes": available, "budget_bytes": budget}
    if budget > available:
        return warn(text, "the budget is more than there is: lower models.memory_budget_bytes", **details)
    if budget < LITTLE_MEMORY_BYTES:
        return warn(text, "only the smallest models fit: end other programs, or raise the container's limit", **details)
    return ok(text, **details)


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue  # A pull has just finished with it.
    return total


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
