"""Daemons started by the command line, as people start them; stopped afterwards whatever happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llmspell_protocol.discovery import running_kernels
from tests.support.command_line import llmspell


@contextmanager
def daemon(kernel_id: str, *words: str) -> Iterator[dict[str, Any]]:
    """What `kernel start --daemon` said of a kernel of this id; `words` are further words of the command line."""
    done = llmspell("kernel", "start", "--daemon", "--id", kernel_id, "--json", *_port(words))
    assert done.status == 0, done.err
    try:
        yield done.document
    finally:
        end_all(Path(os.environ["LLMSPELL_HOME"]) / "run")


def _port(words: tuple[str, ...]) -> list[str]:
    named = any(word.startswith(("--port", "--transport", "--connection-file")) for word in words)
    return [*words, *([] if named else ["--port", "0"])]


def end_all(run_dir: Path) -> None:
    """Kills the kernels of a run directory that are still there, stopped ones too."""
    for info in running_kernels(run_dir):
        assert info.pid is not None
        os.kill(info.pid, signal.SIGKILL)
