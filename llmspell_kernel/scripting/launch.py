"""Starts the process of a script worker. Knows neither settings nor scripts, so that it can come before both.

An interpreter needs as long to start as a kernel to read its settings: whoever knows that a script will come starts
the worker first and hands it over later.
"""

from __future__ import annotations

from pathlib import Path

from llmspell_kernel.directories import private_directory
from llmspell_protocol.child import Child, Spawned, spawn

WORKER_MODULE = "llmspell_kernel.scripting.lua.worker"
LOG_NAME = "scripts.log"


def launch(log_directory: Path | None) -> Child:
    """A worker that waits for its `start` frame; `Child.hand_over` says who hears it. Call on the loop's thread."""
    return Child.attach(launch_early(log_directory))


def launch_early(log_directory: Path | None) -> Spawned:
    """The same before there is a loop: on the thread where it will run."""
    log_path = None
    if log_directory is not None:
        log_path = private_directory(log_directory) / LOG_NAME
    return spawn(WORKER_MODULE, environment={}, log_path=log_path)
