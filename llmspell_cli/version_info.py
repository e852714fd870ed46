"""Which llmspell this is: version, and the commit where it runs from a clone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from llmspell_protocol.version import VERSION


def number() -> str:
    """The version of the installed package."""
    return VERSION


def git() -> dict[str, Any]:
    """Commit, its date, branch and whether files were changed; all None outside a clone."""
    unknown: dict[str, Any] = {"commit": None, "date": None, "branch": None, "dirty": None}
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return unknown
    import subprocess

    def ask(*words: str) -> str | None:
        done = subprocess.run(
            ["git", "-C", os.fspath(root), *words],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        commit = ask("log", "-1", "--format=%h %cs")
        if not commit:
            return unknown
        short, _, date = commit.partition(" ")
        changed = ask("status", "--porcelain", "--untracked-files=no")
        branch = ask("rev-parse", "--abbrev-ref", "HEAD")
    except FileNotFoundError:
        return unknown  # A clone on a machine without git.
    return {"commit": short, "date": date, "branch": branch, "dirty": bool(changed)}


def plain_version() -> str:
    """`llmspell X.Y.Z`."""
    return f"llmspell {number()}"
