"""Writes a kernelspec: `kernel.json` and the logos, whole or not at all. Knows neither options nor questions."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llmspell_protocol.errors import InvalidRequest

LOGOS = Path(__file__).with_name("logos")
"""`logo-32x32.png`, `logo-64x64.png` and `logo-svg.svg`, the names that Jupyter knows."""


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
    """Makes the directory a kernelspec, in place of what was there.

    Raises:
        InvalidRequest: it can't be written.
    """
    partial = directory / f".kernel.json.{os.getpid()}.part"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for logo in sorted(LOGOS.iterdir()):
            shutil.copyfile(logo, directory / logo.name)
        partial.write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        partial.replace(directory / "kernel.json")
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InvalidRequest(f"can't write {directory}: {error.strerror}") from None
