"""What an installation may have besides: the libraries of an extra, and the command that installs it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from llmspell_protocol.errors import Unsupported


def library_of(extra: str, module: str, package: str, what: str) -> ModuleType:
    """A module of an extra; `what` is what can't be done without it ("reading PDF files").

    Raises:
        Unsupported: it isn't installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != module.split(".")[0]:
            raise
        raise Unsupported(
            f"{what} needs {package}, which is not installed",
            hint=install_command(extra),
            details={"package": package, "extra": extra},
        ) from None


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """A command line that adds an extra to the llmspell that is running, whichever way it was installed.

    An installation from a clone is not on the package index, so its folder is named, as long as it is there.
    """
    # Needed for a hint only; the first takes milliseconds.
    import shlex
    import sys

    what = ("--upgrade " if upgrade else "") + shlex.quote(f"{_source()}[{extra}]")
    if "/pipx/venvs/" in sys.prefix:
        return f"pipx runpip llmspell install {what}"
    if "/uv/tools/" in sys.prefix:
        return f"uv pip install --python {shlex.quote(sys.executable)} {what}"
    return f"pip install {what}"


def _source() -> str:
    """The folder that llmspell was installed from, or its name on the package index."""
    import json
    import os
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.parse import unquote, urlsplit

    try:
        origin = json.loads(distribution("llmspell").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, OSError, ValueError):
        return "llmspell"
    folder = unquote(urlsplit(str(origin.get("url", ""))).path)
    return folder if "dir_info" in origin and os.path.isfile(os.path.join(folder, "pyproject.toml")) else "llmspell"
