"""How tests have SmolLM2 loaded by a llama-server, and how they find its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil

from llmspell_providers.candle.process import Launch


def launch(path: Path, tmp_path: Path, server: Path | None, **changes: Any) -> Launch:
    """SmolLM2 as small as it goes."""
    fields = {"slots": 2, "context_size": 1024, "log_path": tmp_path / "worker.log", **changes}
    return Launch(engine="llama-server", path=path, model="smollm2:135m", server_path=server, **fields)


def command_of(process: psutil.Process) -> list[str]:
    """A process's command line; empty when it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
